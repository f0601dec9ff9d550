import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { CompletionFilter } from '../completions/completions.ts';
import { type Percentiles, percentilesOf, type Query, rollupCondition } from './rollup-query.ts';
import type { Span } from './span.ts';

/** Of so many providers at most: users who report usage name them as they like. */
const MOST_PROVIDERS = 1_000;

/** Sums over the attempts of a span that went to one provider, and usage of it that was made elsewhere. */
export interface ProviderSums {
  attempts: bigint;
  succeeded: bigint;
  failed: bigint;
  cancelled: bigint;
  indeterminate: bigint;
  inputTokens: bigint;
  outputTokens: bigint;
  cachedTokens: bigint;
  /** Of the priced ones. */
  cost: Picodollars;
  unpricedAttempts: bigint;
  latencyMs: bigint;
  /** How many `latencyMs` is the sum of. */
  timedAttempts: bigint;
  timeToFirstTokenMs: bigint;
  /** How many `timeToFirstTokenMs` is the sum of. */
  timedFirstTokens: bigint;
}

const SUMS = {
  attempts: 'sum(r.requests)',
  succeeded: "coalesce(sum(r.requests) FILTER (WHERE s.status = 'SUCCEEDED'), 0)",
  failed: "coalesce(sum(r.requests) FILTER (WHERE s.status = 'FAILED'), 0)",
  cancelled: "coalesce(sum(r.requests) FILTER (WHERE s.status = 'CANCELLED'), 0)",
  indeterminate: "coalesce(sum(r.requests) FILTER (WHERE s.status = 'INDETERMINATE'), 0)",
  inputTokens: 'sum(r.input_tokens)',
  outputTokens: 'sum(r.output_tokens)',
  cachedTokens: 'sum(r.cached_tokens)',
  cost: 'sum(r.cost)',
  unpricedAttempts: 'sum(r.unpriced)',
  latencyMs: 'sum(r.latency_ms)',
  timedAttempts: 'sum(r.timed_requests)',
  timeToFirstTokenMs: 'sum(r.time_to_first_token_ms)',
  timedFirstTokens: 'sum(r.timed_first_tokens)',
} as const satisfies Record<keyof ProviderSums, string>;

const SELECT = Object.entries(SUMS)
  .map(([name, sum]) => `(${sum})::text AS "${name}"`)
  .join(', ');

/** One statement: each provider, by slug, that had an attempt; the one with most attempts first, a thousand at most. */
export async function readProviders(
  query: Query,
  span: Span,
  filter: CompletionFilter,
): Promise<(ProviderSums & { provider: string })[]> {
  const { where, values } = rollupCondition(span, filter);
  const { rows } = await query<Record<keyof ProviderSums | 'provider', string>>(
    `SELECT s.provider_slug AS provider, ${SELECT} FROM rollups r JOIN rollup_series s ON s.id = r.series_id
     WHERE ${where} AND s.subject = 'ATTEMPT' GROUP BY s.provider_slug ORDER BY sum(r.requests) DESC, s.provider_slug
     LIMIT ${MOST_PROVIDERS}`,
    values,
  );
  return rows.map(({ provider, ...texts }) => {
    const sums = Object.entries(texts).map(([name, text]) => [name, BigInt(text)]);
    const of = Object.fromEntries(sums) as Record<keyof ProviderSums, bigint>;
    return { ...of, provider, cost: picodollars(of.cost) };
  });
}

/** One statement: the latencies of attempts, by slug of their provider. */
export async function readProviderPercentiles(
  query: Query,
  span: Span,
  filter: CompletionFilter,
): Promise<ReadonlyMap<string, Percentiles>> {
  const { where, values } = rollupCondition(span, filter);
  const { rows } = await query<{ provider: string; slots: { slot: number; count: string }[] }>(
    `SELECT provider, json_agg(json_build_object('slot', slot, 'count', count::text)) AS slots FROM (
       SELECT s.provider_slug AS provider, r.slot, sum(r.count) AS count
       FROM rollup_latencies r JOIN rollup_series s ON s.id = r.series_id
       WHERE ${where} AND s.subject = 'ATTEMPT' GROUP BY s.provider_slug, r.slot
     ) counts GROUP BY provider`,
    values,
  );
  return new Map(rows.map(({ provider, slots }) => [provider, percentilesOf(slots)]));
}
