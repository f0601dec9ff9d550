import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { CostSource, Usage } from './prices.ts';
import type { AttemptOutcome } from './records.ts';

export type CorrectionReason = 'REPRICED' | 'RESOLVED';

/** What became known later of an attempt or a usage event, as it counts from then on. */
export interface Correction {
  id: string;
  seq: bigint;
  reason: CorrectionReason;
  usage: Usage;
  cost: Picodollars;
  costSource: CostSource;
  priceVersionId: string | null;
  /** What it added to the cost that counted before; negative where it cost less. */
  difference: Picodollars;
  /** There was no cost before. */
  wasUnpriced: boolean;
  correctedBy: string | null;
  createdAt: Date;
}

/** What a row says of usage and cost. */
export type Charge = Pick<AttemptOutcome, 'usage' | 'isEstimated' | 'cost' | 'costSource' | 'priceVersionId'>;

/** What counts of a row: what it says itself, or its latest correction. */
export function effective<Row extends Charge>(row: Row, corrections: readonly Correction[]): Row {
  const latest = corrections.at(-1);
  if (!latest) return row;
  const { usage, cost, costSource, priceVersionId } = latest;
  const isResolved = corrections.some(({ reason }) => reason === 'RESOLVED');
  return { ...row, usage, cost, costSource, priceVersionId, isEstimated: row.isEstimated && !isResolved };
}

/** A correction as JSON of `correctionsWhere` has it. */
export type CorrectionJson = Omit<Correction, 'seq' | 'cost' | 'difference' | 'createdAt'> &
  Record<'seq' | 'cost' | 'difference' | 'createdAt', string>;

/**
 * An SQL expression: the corrections `k` that fit a condition, the oldest first, as JSON for `toCorrections`.
 * @param condition such as `k.attempt_id = a.id`
 */
export function correctionsWhere(condition: string): string {
  return `(SELECT json_agg(json_build_object('id', k.id, 'seq', k.seq::text, 'reason', k.reason,
      'usage', json_build_object('inputTokens', k.input_tokens, 'outputTokens', k.output_tokens,
        'cachedTokens', k.cached_tokens, 'cacheWriteTokens', k.cache_write_tokens,
        'cacheWrite1hTokens', k.cache_write_1h_tokens, 'reasoningTokens', k.reasoning_tokens),
      'cost', k.cost::text, 'costSource', k.cost_source, 'priceVersionId', k.price_version_id,
      'difference', k.difference::text, 'wasUnpriced', k.was_unpriced, 'correctedBy', k.corrected_by,
      'createdAt', k.created_at) ORDER BY k.seq) FROM corrections k WHERE ${condition})`;
}

/** @param json of `correctionsWhere`; null: there are none */
export function toCorrections(json: readonly CorrectionJson[] | null): Correction[] {
  return (json ?? []).map(({ seq, cost, difference, createdAt, ...same }) => ({
    ...same,
    seq: BigInt(seq),
    cost: picodollars(BigInt(cost)),
    difference: picodollars(BigInt(difference)),
    createdAt: new Date(createdAt),
  }));
}
