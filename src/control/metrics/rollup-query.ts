import type { QueryResultRow } from 'pg';
import { percentile } from '../../gateway/ledger/histogram.ts';
import { storable } from '../../platform/storable.ts';
import type { CompletionFilter } from '../completions/completions.ts';
import type { Span } from './span.ts';

/** Sends a statement. */
export type Query = <Row extends QueryResultRow>(sql: string, values: unknown[]) => Promise<{ rows: Row[] }>;

/** A WHERE clause on roll-ups `r` and their series `s`; its parameters are numbered from $1. */
export interface RollupCondition {
  where: string;
  values: unknown[];
}

/** The roll-ups of a span, of both subjects, that a filter lets through. */
export function rollupCondition({ grain, from, to }: Span, filter: CompletionFilter): RollupCondition {
  const parts = ['r.grain = $1::"RollupGrain"', 'r.bucket >= $2', 'r.bucket < $3'];
  const values: unknown[] = [grain, from, to];
  const require = (sql: string, value: string | null | undefined) => {
    if (value) parts.push(sql.replace('?', `$${values.push(storable(value))}`));
  };
  require('s.status = ?::"RequestStatus"', filter.status);
  require('s.provider_slug = ?', filter.provider);
  require('s.model = ?', filter.model);
  require('s.route_id = (SELECT id FROM routes WHERE slug = ?)', filter.route);
  require('s.target_id = ?', filter.variant);
  require('s.user_id = ?', filter.userId);
  require('s.api_key_id = ?', filter.apiKeyId);
  return { where: parts.join(' AND '), values };
}

/** Latencies in milliseconds that a share of all stay at or under, within 5%. Null: there are none. */
export type Percentiles = Readonly<Record<'p50' | 'p75' | 'p95' | 'p99', number | null>>;

/** @param slots how many latencies each slot of a histogram holds; counts are whole numbers as text */
export function percentilesOf(slots: readonly { slot: number; count: string }[]): Percentiles {
  const counts = slots.map(({ slot, count }) => ({ slot, count: Number(count) }));
  const at = (share: number) => percentile(counts, share);
  return { p50: at(0.5), p75: at(0.75), p95: at(0.95), p99: at(0.99) };
}
