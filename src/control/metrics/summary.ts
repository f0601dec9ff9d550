import type { Pool } from 'pg';
import { percentile } from '../../gateway/ledger/histogram.ts';
import type { RequestStatus } from '../../gateway/ledger/records.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { Span } from './span.ts';

/** Whose and which completions count; null or absent: all. */
export interface MetricsFilter {
  status?: RequestStatus | null | undefined;
  provider?: string | null | undefined;
  model?: string | null | undefined;
  route?: string | null | undefined;
  userId?: string | null | undefined;
  apiKeyId?: string | null | undefined;
}

/** Sums over the completions of a span. */
export interface Summary {
  requests: bigint;
  succeeded: bigint;
  failed: bigint;
  cancelled: bigint;
  indeterminate: bigint;
  inputTokens: bigint;
  outputTokens: bigint;
  cachedTokens: bigint;
  reasoningTokens: bigint;
  /** Of the priced ones. */
  cost: Picodollars;
  unpricedRequests: bigint;
  latencyMs: bigint;
  timeToFirstTokenMs: bigint;
  /** How many `timeToFirstTokenMs` is the sum of. */
  timedFirstTokens: bigint;
  uniqueUsers: number;
}

const SUMS = {
  requests: 'sum(r.requests)',
  succeeded: "sum(r.requests) FILTER (WHERE s.status = 'SUCCEEDED')",
  failed: "sum(r.requests) FILTER (WHERE s.status = 'FAILED')",
  cancelled: "sum(r.requests) FILTER (WHERE s.status = 'CANCELLED')",
  indeterminate: "sum(r.requests) FILTER (WHERE s.status = 'INDETERMINATE')",
  inputTokens: 'sum(r.input_tokens)',
  outputTokens: 'sum(r.output_tokens)',
  cachedTokens: 'sum(r.cached_tokens)',
  reasoningTokens: 'sum(r.reasoning_tokens)',
  cost: 'sum(r.cost)',
  unpricedRequests: 'sum(r.unpriced)',
  latencyMs: 'sum(r.latency_ms)',
  timeToFirstTokenMs: 'sum(r.time_to_first_token_ms)',
  timedFirstTokens: 'sum(r.timed_first_tokens)',
  uniqueUsers: 'count(DISTINCT s.user_id)',
} as const satisfies Record<keyof Summary, string>;

const SELECT = Object.entries(SUMS)
  .map(([name, sum]) => `coalesce(${sum}, 0)::text AS "${name}"`)
  .join(', ');

/** One statement on the roll-ups, whose price does not grow with the number of requests. */
export async function readSummary(pool: Pool, span: Span, filter: MetricsFilter): Promise<Summary> {
  const { where, values } = condition(span, filter);
  const { rows } = await pool.query<Record<keyof Summary, string>>(
    `SELECT ${SELECT} FROM rollups r JOIN rollup_series s ON s.id = r.series_id WHERE ${where}`,
    values,
  );
  const texts = Object.entries(rows[0] ?? {}) as [keyof Summary, string][];
  const sums = Object.fromEntries(texts.map(([name, text]) => [name, BigInt(text)])) as Record<keyof Summary, bigint>;
  return { ...sums, cost: picodollars(sums.cost), uniqueUsers: Number(sums.uniqueUsers) };
}

export type Percentiles = Readonly<Record<'p50' | 'p75' | 'p95' | 'p99', number | null>>;

/** Latencies in milliseconds that a share of all completions stay under, within 5%; one statement. */
export async function readPercentiles(pool: Pool, span: Span, filter: MetricsFilter): Promise<Percentiles> {
  const { where, values } = condition(span, filter);
  const { rows } = await pool.query<{ slot: number; count: string }>(
    `SELECT r.slot, sum(r.count)::text AS count
       FROM rollup_latencies r JOIN rollup_series s ON s.id = r.series_id WHERE ${where} GROUP BY r.slot`,
    values,
  );
  const slots = rows.map(({ slot, count }) => ({ slot, count: Number(count) }));
  const at = (share: number) => percentile(slots, share);
  return { p50: at(0.5), p75: at(0.75), p95: at(0.95), p99: at(0.99) };
}

function condition({ grain, from, to }: Span, filter: MetricsFilter): { where: string; values: unknown[] } {
  const parts = ["s.subject = 'COMPLETION'", 'r.grain = $1::"RollupGrain"', 'r.bucket >= $2', 'r.bucket < $3'];
  const values: unknown[] = [grain, from, to];
  const require = (sql: string, value: string | null | undefined) => {
    // Postgres refuses texts with NUL, and no row has one.
    if (value) parts.push(sql.replace('?', `$${values.push(value.replaceAll('\0', '\ufffd'))}`));
  };
  require('s.status = ?::"RequestStatus"', filter.status);
  require('s.provider_slug = ?', filter.provider);
  require('s.model = ?', filter.model);
  require('s.route_id = (SELECT id FROM routes WHERE slug = ?)', filter.route);
  require('s.user_id = ?', filter.userId);
  require('s.api_key_id = ?', filter.apiKeyId);
  return { where: parts.join(' AND '), values };
}
