import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { CompletionFilter } from '../completions/completions.ts';
import { type Percentiles, percentilesOf, type Query, rollupCondition } from './rollup-query.ts';
import type { Span } from './span.ts';

/** Sums over the completions of a span, and usage that was made elsewhere. */
export interface Summary {
  requests: bigint;
  succeeded: bigint;
  failed: bigint;
  cancelled: bigint;
  indeterminate: bigint;
  /** Upstream calls; of these the filter's status, provider, model and variant are meant. */
  attempts: bigint;
  inputTokens: bigint;
  outputTokens: bigint;
  cachedTokens: bigint;
  reasoningTokens: bigint;
  /** Of the priced ones. */
  cost: Picodollars;
  unpricedRequests: bigint;
  latencyMs: bigint;
  /** How many `latencyMs` is the sum of. */
  timedRequests: bigint;
  timeToFirstTokenMs: bigint;
  /** How many `timeToFirstTokenMs` is the sum of. */
  timedFirstTokens: bigint;
  uniqueUsers: number;
}

const COMPLETION = "s.subject = 'COMPLETION'";

const SUMS = {
  requests: sumOf('requests'),
  succeeded: sumOf('requests', `${COMPLETION} AND s.status = 'SUCCEEDED'`),
  failed: sumOf('requests', `${COMPLETION} AND s.status = 'FAILED'`),
  cancelled: sumOf('requests', `${COMPLETION} AND s.status = 'CANCELLED'`),
  indeterminate: sumOf('requests', `${COMPLETION} AND s.status = 'INDETERMINATE'`),
  attempts: sumOf('requests', "s.subject = 'ATTEMPT'"),
  inputTokens: sumOf('input_tokens'),
  outputTokens: sumOf('output_tokens'),
  cachedTokens: sumOf('cached_tokens'),
  reasoningTokens: sumOf('reasoning_tokens'),
  cost: sumOf('cost'),
  unpricedRequests: sumOf('unpriced'),
  latencyMs: sumOf('latency_ms'),
  timedRequests: sumOf('timed_requests'),
  timeToFirstTokenMs: sumOf('time_to_first_token_ms'),
  timedFirstTokens: sumOf('timed_first_tokens'),
  uniqueUsers: `count(DISTINCT s.user_id) FILTER (WHERE ${COMPLETION})`,
} as const satisfies Record<keyof Summary, string>;

function sumOf(column: string, condition = COMPLETION): string {
  return `coalesce(sum(r.${column}) FILTER (WHERE ${condition}), 0)`;
}

const SELECT = Object.entries(SUMS)
  .map(([name, sum]) => `(${sum})::text AS "${name}"`)
  .join(', ');

/** One statement on the roll-ups, whose price does not grow with the number of requests. */
export async function readSummary(query: Query, span: Span, filter: CompletionFilter): Promise<Summary> {
  const { where, values } = rollupCondition(span, filter);
  const { rows } = await query<Record<keyof Summary, string>>(
    `SELECT ${SELECT} FROM rollups r JOIN rollup_series s ON s.id = r.series_id WHERE ${where}`,
    values,
  );
  const texts = Object.entries(rows[0] ?? {}) as [keyof Summary, string][];
  const sums = Object.fromEntries(texts.map(([name, text]) => [name, BigInt(text)])) as Record<keyof Summary, bigint>;
  return { ...sums, cost: picodollars(sums.cost), uniqueUsers: Number(sums.uniqueUsers) };
}

/** The latencies of completions; one statement. */
export async function readPercentiles(query: Query, span: Span, filter: CompletionFilter): Promise<Percentiles> {
  const { where, values } = rollupCondition(span, filter);
  const { rows } = await query<{ slot: number; count: string }>(
    `SELECT r.slot, sum(r.count)::text AS count FROM rollup_latencies r JOIN rollup_series s ON s.id = r.series_id
     WHERE ${where} AND ${COMPLETION} GROUP BY r.slot`,
    values,
  );
  return percentilesOf(rows);
}
