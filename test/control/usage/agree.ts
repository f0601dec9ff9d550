import { expect } from 'vitest';
import type { TestServer } from '../../kit/server.ts';

/** Of an attempt or a usage event `a`: its latest correction. */
const latest = (condition: string) =>
  `LEFT JOIN LATERAL (SELECT * FROM corrections WHERE ${condition} ORDER BY seq DESC LIMIT 1) k ON true`;

/** What counts of every attempt and every usage event, from the rows alone. */
const ATTEMPTS = `
  SELECT a.id, a.completion_id, c.user_id, a.provider_id, c.started_at,
    CASE WHEN k.id IS NULL THEN a.input_tokens ELSE k.input_tokens END AS input,
    CASE WHEN k.id IS NULL THEN a.output_tokens ELSE k.output_tokens END AS output,
    CASE WHEN k.id IS NULL THEN a.cost ELSE k.cost END AS cost
  FROM attempts a JOIN completions c ON c.id = a.completion_id ${latest('attempt_id = a.id')}`;
const EVENTS = `
  SELECT a.user_id, a.provider_id, a.occurred_at AS started_at, a.input_tokens AS input, a.output_tokens AS output,
    coalesce(k.cost, a.cost) AS cost
  FROM usage_events a ${latest('usage_event_id = a.id')}`;
const SUMS = `count(*)::int AS requests, coalesce(sum(input), 0)::text AS input, coalesce(sum(output), 0)::text AS output,
  coalesce(sum(cost), 0)::text AS cost,
  count(*) FILTER (WHERE cost IS NULL AND (input IS NOT NULL OR output IS NOT NULL))::int AS unpriced`;

/** Expects the roll-ups, the budgets and the corrections to be what the rows say together. */
export async function expectAgreement({ services: { pool } }: TestServer): Promise<void> {
  const one = async (sql: string) => (await pool.query<Record<string, unknown>>(sql)).rows;
  const uses = `WITH attempt AS (${ATTEMPTS}), event AS (${EVENTS})`;
  const attempts = await one(`${uses} SELECT ${SUMS} FROM (
    SELECT input, output, cost FROM attempt UNION ALL SELECT input, output, cost FROM event) AS used`);
  const completions = await one(`${uses} SELECT ${SUMS} FROM (
    SELECT sum(input) AS input, sum(output) AS output,
      CASE WHEN bool_or(cost IS NULL AND (input IS NOT NULL OR output IS NOT NULL)) THEN NULL ELSE sum(cost) END AS cost
    FROM attempt GROUP BY completion_id UNION ALL SELECT input, output, cost FROM event) AS used`);
  for (const grain of ['MINUTE', 'HOUR'])
    for (const [subject, expected] of Object.entries({ ATTEMPT: attempts, COMPLETION: completions }))
      expect(
        await one(`SELECT sum(requests)::int AS requests, sum(input_tokens)::text AS input,
          sum(output_tokens)::text AS output, sum(cost)::text AS cost, sum(unpriced)::int AS unpriced
          FROM rollups JOIN rollup_series s ON s.id = series_id
          WHERE grain = '${grain}' AND s.subject = '${subject}'`),
        `${grain} ${subject}`,
      ).toEqual(expected);
  const budgets = await one(`${uses} SELECT b.scope::text, al.settled::text, al.starts_at,
      (SELECT coalesce(sum(cost), 0)::text FROM (
        SELECT user_id, provider_id, started_at, cost FROM attempt
        UNION ALL SELECT user_id, provider_id, started_at, cost FROM event) AS used
       WHERE used.started_at >= al.starts_at AND (al.ends_at IS NULL OR used.started_at < al.ends_at)
         AND CASE b.scope WHEN 'USER' THEN user_id::text = b.subject_id WHEN 'PROVIDER' THEN provider_id::text = b.subject_id
             ELSE true END) AS spent
    FROM allowances al JOIN budgets b ON b.id = al.budget_id`);
  for (const { settled, spent, ...budget } of budgets) expect(settled, JSON.stringify(budget)).toBe(spent);
  // Every correction begins where the one before it ended.
  expect(
    await one(`SELECT k.id FROM corrections k
      LEFT JOIN attempts a ON a.id = k.attempt_id LEFT JOIN usage_events e ON e.id = k.usage_event_id
      LEFT JOIN LATERAL (SELECT cost FROM corrections p WHERE p.seq < k.seq
        AND (p.attempt_id = k.attempt_id OR p.usage_event_id = k.usage_event_id) ORDER BY seq DESC LIMIT 1) p ON true
      WHERE k.difference <> k.cost - coalesce(p.cost, a.cost, e.cost, 0)
        OR k.was_unpriced <> (coalesce(p.cost, a.cost, e.cost) IS NULL)`),
  ).toEqual([]);
}
