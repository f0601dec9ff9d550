import type { Judged } from './judgements.ts';
import { type Interval, signTest } from './statistics/distributions.ts';
import { adjustTogether } from './statistics/holm.ts';
import { compareMeans, type Sample } from './statistics/means.ts';
import { compareProportions, wilson } from './statistics/proportions.ts';
import type { VariantSample } from './variant-samples.ts';
import type { VariantSums } from './variant-sums.ts';
import type { Variant } from './variants.ts';

/** Upstream calls with an end, good or bad, that a comparison needs of each side. */
export const LEAST_REQUESTS = 100;
/** Values that a difference of means needs of each side. */
export const LEAST_VALUES = 30;
/** Judgements other than ties that a preference needs. */
export const LEAST_JUDGEMENTS = 10;

const SIGNIFICANT = 0.05;

export type Test = 'FISHER_EXACT' | 'TWO_PROPORTION_Z' | 'WELCH_T';

/** A variant with all that is known of it in the span. */
export interface MeasuredVariant {
  variant: Variant;
  sums: VariantSums;
  sample: VariantSample;
  judged: Judged;
}

/** How much a variant differs from the baseline; positive: it has more. */
export interface Difference extends Interval {
  difference: number;
  /** In relation to the baseline's; null: that is 0. */
  relative: number | null;
  pValue: number;
  adjustedPValue: number;
  isSignificant: boolean;
  test: Test;
}

/** How often a variant's answers were judged better than the baseline's, and how likely that is by chance. */
export interface Preference extends Judged, Interval {
  /** The share of the wins among wins and losses. */
  winRate: number;
  pValue: number;
  adjustedPValue: number;
  isSignificant: boolean;
}

/** A variant against the baseline. Null differences: too few values. */
export interface VariantComparison {
  variant: Variant;
  baseline: Variant;
  errorRate: Difference | null;
  latencyMs: Difference | null;
  timeToFirstTokenMs: Difference | null;
  /** In picodollars. */
  cost: Difference | null;
  judged: Preference | null;
  /** What the comparison lacks, in a sentence; null: nothing. */
  missing: string | null;
}

type Unadjusted<T> = Omit<T, 'adjustedPValue' | 'isSignificant'>;

/**
 * Compares each variant with the baseline. The p-values of one measure are adjusted together, so that with many variants
 * something does not look different by chance alone.
 * @param judgedAgainst how a variant's answers were judged against the baseline's
 */
export function compareVariants(
  baseline: MeasuredVariant,
  others: readonly MeasuredVariant[],
  judgedAgainst: (variant: string) => Judged,
): VariantComparison[] {
  const enough = others.map((other) => missingIn(baseline, other) === null);
  const adjust = <T extends { pValue: number }>(found: readonly (T | null)[]) => {
    // One with too few requests says nothing yet, and must not take from what the others say.
    const adjusted = adjustTogether(found.map((one, index) => (one && enough[index] ? one.pValue : null)));
    return found.map((one, index) => {
      if (!one) return null;
      const adjustedPValue = adjusted[index] ?? one.pValue;
      return { ...one, adjustedPValue, isSignificant: enough[index] === true && adjustedPValue < SIGNIFICANT };
    });
  };
  const meansOf = (of: (sample: VariantSample) => Sample) =>
    adjust(others.map(({ sample }) => differenceOfMeans(of(baseline.sample), of(sample))));
  const errorRate = adjust(others.map(({ sums }) => differenceOfErrors(baseline.sums, sums)));
  const latencyMs = meansOf((sample) => sample.latencyMs);
  const timeToFirstTokenMs = meansOf((sample) => sample.timeToFirstTokenMs);
  const cost = meansOf((sample) => sample.cost);
  const judged = adjustPreferences(others.map(({ variant }) => preferenceOf(judgedAgainst(variant.id))));
  return others.map((other, index) => ({
    variant: other.variant,
    baseline: baseline.variant,
    errorRate: errorRate[index] ?? null,
    latencyMs: latencyMs[index] ?? null,
    timeToFirstTokenMs: timeToFirstTokenMs[index] ?? null,
    cost: cost[index] ?? null,
    judged: judged[index] ?? null,
    missing: missingIn(baseline, other),
  }));
}

/** Failures among the calls with an end, good or bad: those whose client left say nothing, nor do those of unknown end. */
export function errorsOf({ failed, succeeded }: VariantSums) {
  return { events: Number(failed), trials: Number(failed + succeeded) };
}

function differenceOfErrors(baseline: VariantSums, other: VariantSums): Unadjusted<Difference> | null {
  const first = errorsOf(baseline);
  const found = compareProportions(first, errorsOf(other));
  return found && { ...found, relative: relativeTo(first.events / first.trials, found.difference) };
}

function differenceOfMeans(baseline: Sample, other: Sample): Unadjusted<Difference> | null {
  if (Math.min(baseline.count, other.count) < LEAST_VALUES) return null;
  const found = compareMeans(baseline, other);
  return { ...found, relative: relativeTo(baseline.mean, found.difference), test: 'WELCH_T' };
}

function relativeTo(baseline: number, difference: number): number | null {
  return baseline === 0 ? null : difference / baseline;
}

function preferenceOf(judged: Judged): Unadjusted<Preference> | null {
  const { wins, losses } = judged;
  const interval = wilson({ events: wins, trials: wins + losses });
  return interval && { ...judged, ...interval, winRate: wins / (wins + losses), pValue: signTest(wins, losses) };
}

/** Judgements are a sample of their own, which the number of requests does not bound. */
function adjustPreferences(found: readonly (Unadjusted<Preference> | null)[]): (Preference | null)[] {
  const isEnough = (one: Judged | null) => one !== null && one.wins + one.losses >= LEAST_JUDGEMENTS;
  const adjusted = adjustTogether(found.map((one) => (one && isEnough(one) ? one.pValue : null)));
  return found.map((one, index) => {
    if (!one) return null;
    const adjustedPValue = adjusted[index] ?? one.pValue;
    return { ...one, adjustedPValue, isSignificant: isEnough(one) && adjustedPValue < SIGNIFICANT };
  });
}

function missingIn(...sides: readonly MeasuredVariant[]): string | null {
  const short = sides.flatMap(({ variant, sums }) => {
    const { trials } = errorsOf(sums);
    return trials < LEAST_REQUESTS ? [`${variant.label} has ${trials}`] : [];
  });
  if (short.length === 0) return null;
  return `A comparison needs ${LEAST_REQUESTS} requests that succeeded or failed of each variant; ${short.join(', and ')}.`;
}
