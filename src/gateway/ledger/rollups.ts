import type pg from 'pg';
import { latencySlot } from './histogram.ts';
import type { Usage } from './prices.ts';
import type { AttemptOutcome } from './records.ts';
import { hasTokens } from './settlement.ts';

const GRAINS = { MINUTE: 60_000, HOUR: 3_600_000 } as const;

/** What is summed of a completion, or of an attempt. */
export interface RollupEntry {
  seriesId: string;
  /** When the completion was admitted, in milliseconds since 1970: usage counts in the period of its admission. */
  startedAt: number;
  outcome: Pick<AttemptOutcome, 'usage' | 'cost' | 'timeToFirstTokenMs'> & {
    /** Null: nobody knows how long it took. */
    latencyMs: number | null;
  };
}

/** What becomes known later of what was summed already; all are differences. */
export interface RollupCorrection {
  seriesId: string;
  /** As that of the entry which it is about. */
  startedAt: number;
  usage: Pick<Usage, 'inputTokens' | 'outputTokens' | 'cachedTokens' | 'reasoningTokens'>;
  /** Picodollars. */
  cost: bigint;
  unpriced: number;
}

/** Sums over the entries of one series in one bucket; the names are the columns of `rollups`. */
export interface RollupSums {
  grain: keyof typeof GRAINS;
  bucket: string;
  series_id: string;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  reasoning_tokens: number;
  /** Picodollars. */
  cost: bigint;
  /** Entries that used tokens but have no cost. */
  unpriced: number;
  latency_ms: number;
  time_to_first_token_ms: number;
  timed_first_tokens: number;
  timed_requests: number;
  /** Entries by latency slot. */
  slots: Map<number, number>;
}

/** Sums entries, and corrections of earlier ones, by series, grain and bucket of their completion's start. */
export function foldRollups(
  entries: readonly RollupEntry[],
  corrections: readonly RollupCorrection[] = [],
): RollupSums[] {
  const sums = new Map<string, RollupSums>();
  const bucketsOf = ({ seriesId, startedAt }: RollupEntry | RollupCorrection) =>
    (['MINUTE', 'HOUR'] as const).map((grain) => {
      const start = Math.floor(startedAt / GRAINS[grain]) * GRAINS[grain];
      const key = `${grain} ${start} ${seriesId}`;
      const bucket = sums.get(key) ?? emptySums(grain, start, seriesId);
      sums.set(key, bucket);
      return bucket;
    });
  for (const entry of entries) for (const bucket of bucketsOf(entry)) add(bucket, entry.outcome);
  for (const correction of corrections) for (const bucket of bucketsOf(correction)) correct(bucket, correction);
  return [...sums.values()];
}

/** Adds sums to the roll-ups. The caller holds the ledger's head, so no other writer is at the same rows. */
export async function addRollups(client: pg.ClientBase, sums: readonly RollupSums[]): Promise<void> {
  await client.query(ADD_ROLLUPS, [
    JSON.stringify(sums.map(({ slots: _, cost, ...sum }) => ({ ...sum, cost: `${cost}` }))),
  ]);
  const latencies = sums.flatMap(({ grain, bucket, series_id, slots }) =>
    [...slots].map(([slot, count]) => ({ grain, bucket, series_id, slot, count })),
  );
  if (latencies.length > 0) await client.query(ADD_LATENCIES, [JSON.stringify(latencies)]);
}

function emptySums(grain: keyof typeof GRAINS, start: number, seriesId: string): RollupSums {
  return {
    grain,
    bucket: new Date(start).toISOString(),
    series_id: seriesId,
    requests: 0,
    input_tokens: 0,
    output_tokens: 0,
    cached_tokens: 0,
    reasoning_tokens: 0,
    cost: 0n,
    unpriced: 0,
    latency_ms: 0,
    time_to_first_token_ms: 0,
    timed_first_tokens: 0,
    timed_requests: 0,
    slots: new Map(),
  };
}

function add(sums: RollupSums, { usage, cost, latencyMs, timeToFirstTokenMs }: RollupEntry['outcome']): void {
  sums.requests += 1;
  addTokens(sums, usage);
  sums.cost += cost ?? 0n;
  if (cost === null && hasTokens(usage)) sums.unpriced += 1;
  sums.time_to_first_token_ms += timeToFirstTokenMs ?? 0;
  if (timeToFirstTokenMs !== null) sums.timed_first_tokens += 1;
  if (latencyMs === null) return;
  sums.latency_ms += latencyMs;
  sums.timed_requests += 1;
  const slot = latencySlot(latencyMs);
  sums.slots.set(slot, (sums.slots.get(slot) ?? 0) + 1);
}

function correct(sums: RollupSums, { usage, cost, unpriced }: RollupCorrection): void {
  addTokens(sums, usage);
  sums.cost += cost;
  sums.unpriced += unpriced;
}

function addTokens(sums: RollupSums, usage: RollupCorrection['usage']): void {
  sums.input_tokens += usage.inputTokens ?? 0;
  sums.output_tokens += usage.outputTokens ?? 0;
  sums.cached_tokens += usage.cachedTokens ?? 0;
  sums.reasoning_tokens += usage.reasoningTokens ?? 0;
}

const SUMMED = [
  'requests',
  'input_tokens',
  'output_tokens',
  'cached_tokens',
  'reasoning_tokens',
  'cost',
  'unpriced',
  'latency_ms',
  'time_to_first_token_ms',
  'timed_first_tokens',
  'timed_requests',
] as const;

const ADD_ROLLUPS = `
  INSERT INTO rollups (grain, bucket, series_id, ${SUMMED.join(', ')})
  SELECT grain, bucket, series_id, ${SUMMED.join(', ')} FROM json_to_recordset($1) AS sums
    (grain "RollupGrain", bucket timestamptz, series_id bigint, ${SUMMED.map((name) => `${name} numeric`).join(', ')})
  ON CONFLICT (grain, bucket, series_id)
  DO UPDATE SET ${SUMMED.map((name) => `${name} = rollups.${name} + excluded.${name}`).join(', ')}`;

const ADD_LATENCIES = `
  INSERT INTO rollup_latencies (grain, bucket, series_id, slot, count)
  SELECT grain, bucket, series_id, slot, count FROM json_to_recordset($1) AS counts
    (grain "RollupGrain", bucket timestamptz, series_id bigint, slot smallint, count bigint)
  ON CONFLICT (grain, bucket, series_id, slot)
  DO UPDATE SET count = rollup_latencies.count + excluded.count`;
