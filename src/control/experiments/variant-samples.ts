import { firstUuidAt } from '../../platform/ids.ts';
import type { Query, Span } from '../metrics/metrics.ts';
import type { Sample } from './statistics/means.ts';

/** The newest upstream calls of each variant that are looked at one by one. */
export const SAMPLE_SIZE = 100_000;
/** Those of all variants together. */
const ALL_SAMPLES = 1_000_000;

/** How values lie; null: there are none. */
export interface Percentiles {
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

/** What single upstream calls of a variant say, the newest ones. Of those that succeeded, but for their number. */
export interface VariantSample {
  sampled: number;
  latencyMs: Sample & Percentiles;
  /** Of those that were streamed and were the first of their completion: the clock of the others began before them. */
  timeToFirstTokenMs: Sample & Percentiles;
  /** In picodollars, of those that have a price. */
  cost: Sample;
}

type Measure = 'latency' | 'first_token' | 'cost';
type Row = Record<`${Measure}_count`, number> &
  Record<`${Measure}_mean` | `${Measure}_variance`, number | null> &
  Record<'latency_percentiles' | 'first_token_percentiles', number[] | null> & { id: string; sampled: number };

/** Count, mean and variance of a column over those that succeeded, computed exactly by Postgres. */
function measured(measure: Measure): string {
  const of = (aggregate: string) => `${aggregate}(${measure}) FILTER (WHERE succeeded)`;
  return `(${of('count')})::int AS ${measure}_count, (${of('avg')})::float8 AS ${measure}_mean,
    (${of('var_samp')})::float8 AS ${measure}_variance`;
}

function percentilesOf(measure: Measure): string {
  return `percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY ${measure}) FILTER (WHERE succeeded)
    AS ${measure}_percentiles`;
}

/** Costs are as corrected since. */
const SELECT = `
  WITH corrected AS MATERIALIZED (
    SELECT DISTINCT ON (attempt_id) attempt_id, cost FROM corrections
    WHERE attempt_id >= $2 AND attempt_id < $3 ORDER BY attempt_id, seq DESC
  )
  SELECT variant.id, sample.* FROM unnest($1::uuid[]) AS variant (id), LATERAL (
    SELECT count(*)::int AS sampled, ${measured('latency')}, ${measured('first_token')}, ${measured('cost')},
      ${percentilesOf('latency')}, ${percentilesOf('first_token')}
    FROM (
      SELECT status = 'SUCCEEDED' AS succeeded, latency_ms AS latency, coalesce(corrected.cost, attempt.cost) AS cost,
        time_to_first_token_ms AS first_token
      FROM (
        SELECT * FROM attempts WHERE target_id = variant.id AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT $4
      ) AS attempt LEFT JOIN corrected ON corrected.attempt_id = attempt.id
    ) AS newest
  ) AS sample`;

/** One statement, whose price ends with the size of the samples: the time is in the ids, by which rows are found. */
export async function readVariantSamples(
  query: Query,
  { from, to }: Span,
  variantIds: readonly string[],
): Promise<ReadonlyMap<string, VariantSample>> {
  const size = Math.min(SAMPLE_SIZE, Math.floor(ALL_SAMPLES / Math.max(1, variantIds.length)));
  const bounds = [firstUuidAt(from.getTime()), firstUuidAt(to.getTime())];
  const { rows } = await query<Row>(SELECT, [variantIds, ...bounds, size]);
  return new Map(rows.map((row) => [row.id, toSample(row)]));
}

function toSample(row: Row): VariantSample {
  const sample = (measure: Measure): Sample => ({
    count: row[`${measure}_count`],
    mean: row[`${measure}_mean`] ?? 0,
    variance: row[`${measure}_variance`] ?? 0,
  });
  const percentiles = ([p50 = null, p95 = null, p99 = null]: (number | null)[]) => ({ p50, p95, p99 });
  return {
    sampled: row.sampled,
    latencyMs: { ...sample('latency'), ...percentiles(row.latency_percentiles ?? []) },
    timeToFirstTokenMs: { ...sample('first_token'), ...percentiles(row.first_token_percentiles ?? []) },
    cost: sample('cost'),
  };
}
