import type { Pool } from 'pg';
import { builder } from '../schema/builder.ts';
import { type UseSpan, useSpan } from './span.ts';
import { attemptsIn, eventsIn, numbered, UNPRICED_ATTEMPT, UNPRICED_EVENT } from './unpriced-rows.ts';

/** So many groups, and so many rows of each kind, are looked at. */
const MOST = { groups: 1_000, rows: 1_000_000 };
/** A completion may begin so long before its last attempt. */
const LONGEST_COMPLETION_MS = 86_400_000;

/** Usage of one provider's model that has no price. */
interface Unpriced {
  provider: string;
  model: string;
  attempts: bigint;
  events: bigint;
  inputTokens: bigint;
  outputTokens: bigint;
  firstAt: Date;
  lastAt: Date;
}

const UnpricedUsage = builder.objectRef<Unpriced>('UnpricedUsage').implement({
  description: 'Usage of a model whose price is not known, and which therefore counts in no cost.',
  fields: (t) => ({
    provider: t.exposeString('provider', {
      description: 'Slug of the provider; of tracked usage, the name that was reported if no provider had it.',
    }),
    model: t.exposeString('model', { description: 'The model that answered, else the one that was asked for.' }),
    attempts: t.expose('attempts', { type: 'BigInt', description: 'Upstream calls of completions.' }),
    events: t.expose('events', { type: 'BigInt', description: 'Tracked usage events.' }),
    inputTokens: t.expose('inputTokens', { type: 'BigInt', description: 'Their input, cached tokens included.' }),
    outputTokens: t.expose('outputTokens', { type: 'BigInt', description: 'Their output, reasoning included.' }),
    firstAt: t.expose('firstAt', { type: 'DateTime', description: 'When the first of them was.' }),
    lastAt: t.expose('lastAt', { type: 'DateTime', description: 'When the last of them was.' }),
  }),
});

builder.queryField('unpricedUsage', (t) =>
  t.field({
    type: [UnpricedUsage],
    authScopes: { admin: true },
    description:
      'Usage with known tokens and without a price, by provider and model, that with most tokens first: 1,000 groups at most. Give the model a price (`updateModel`), then run `repriceUsage`. Admins only.',
    args: {
      from: t.arg({ type: 'DateTime', description: 'Of this time or later. Default: 30 days before `to`.' }),
      to: t.arg({ type: 'DateTime', description: 'Of before this time, up to 366 days after `from`. Default: now.' }),
    },
    resolve: (_root, { from, to }, { services }) =>
      readUnpriced(services.pool, useSpan({ from: from ?? null, to: to ?? null }, new Date())),
  }),
);

/** Two statements; with nothing unpriced in the roll-ups of the span, one that looks at them alone. */
async function readUnpriced(pool: Pool, span: UseSpan): Promise<Unpriced[]> {
  const narrowed = await narrow(pool, span);
  if (!narrowed) return [];
  const attempts = attemptsIn(narrowed);
  const events = eventsIn(narrowed);
  const { rows } = await pool.query<Record<keyof Unpriced, string> & { firstAt: Date; lastAt: Date }>(
    numbered(`SELECT provider, model, count(*) FILTER (WHERE kind = 'ATTEMPT')::text AS attempts,
       count(*) FILTER (WHERE kind = 'EVENT')::text AS events, coalesce(sum(input), 0)::text AS "inputTokens",
       coalesce(sum(output), 0)::text AS "outputTokens", min(at) AS "firstAt", max(at) AS "lastAt"
     FROM (
       (SELECT 'ATTEMPT' AS kind, a.provider_slug AS provider, coalesce(a.answered_model, a.model) AS model,
          a.input_tokens AS input, a.output_tokens AS output, a.started_at AS at
        FROM attempts a WHERE ${attempts.sql} AND ${UNPRICED_ATTEMPT} LIMIT ${MOST.rows})
       UNION ALL
       (SELECT 'EVENT', a.provider_slug, a.model, a.input_tokens, a.output_tokens, a.occurred_at
        FROM usage_events a WHERE ${events.sql} AND ${UNPRICED_EVENT} LIMIT ${MOST.rows})
     ) AS unpriced
     GROUP BY provider, model
     ORDER BY coalesce(sum(input), 0) + coalesce(sum(output), 0) DESC, provider, model LIMIT ${MOST.groups}`),
    [...attempts.values, ...events.values],
  );
  return rows.map((row) => ({
    ...{ provider: row.provider, model: row.model, firstAt: row.firstAt, lastAt: row.lastAt },
    ...{ attempts: BigInt(row.attempts), events: BigInt(row.events) },
    ...{ inputTokens: BigInt(row.inputTokens), outputTokens: BigInt(row.outputTokens) },
  }));
}

/** The part of a span in which the roll-ups know of unpriced usage; null: in none. */
async function narrow(pool: Pool, { from, to }: UseSpan): Promise<UseSpan | null> {
  const { rows } = await pool.query<{ first: Date | null; last: Date | null }>(
    `SELECT min(r.bucket) AS first, max(r.bucket) + interval '1 hour' AS last
     FROM rollups r JOIN rollup_series s ON s.id = r.series_id
     WHERE r.grain = 'HOUR' AND r.bucket >= $1 AND r.bucket < $2 AND s.subject = 'ATTEMPT' AND r.unpriced > 0`,
    [new Date(Number(from) - LONGEST_COMPLETION_MS), to],
  );
  const { first, last } = rows[0] ?? { first: null, last: null };
  if (!first || !last) return null;
  const begin = new Date(Math.max(Number(from), Number(first)));
  const end = new Date(Math.min(Number(to), Number(last) + LONGEST_COMPLETION_MS));
  return begin < end ? { from: begin, to: end } : null;
}
