import type { VariantComparison } from './compare.ts';
import { type Effect, effectsOf, list, rangesOf, signed } from './effects.ts';
import { type Share, sharesWith } from './shares.ts';
import { nameOf, type Variant } from './variants.ts';

/** Where most requests should go; some go on to the others, so that a change is noticed. */
const MOST = 80;
/** As long as more than this many more failures cannot be ruled out, a shift goes half the way only. */
const UNCERTAIN_ERRORS = 0.02;

export type Action = 'SHIFT' | 'KEEP' | 'WAIT';

/** What to do with a split. */
export interface Recommendation {
  action: Action;
  /** In words and numbers. */
  text: string;
  /** Where to shift requests to; null unless that is the action. */
  winner: Variant | null;
  /** All variants, sum 100; empty unless requests are to be shifted. */
  shares: readonly Share[];
}

/** A comparison with what is beyond chance in it. */
interface Judgement {
  comparison: VariantComparison;
  good: readonly Effect[];
  bad: readonly Effect[];
}

/**
 * A variant that is better in something and worse in nothing gets most requests; where others are only worse, the
 * baseline does. What is better in one thing and worse in another is for people to weigh.
 * @param variants all of the route
 */
export function recommend(variants: readonly Variant[], comparisons: readonly VariantComparison[]): Recommendation {
  const [first] = comparisons;
  if (!first) return stay('WAIT', `A comparison needs two targets; the route has ${variants.length || 'none'}.`);
  const known = comparisons.filter(({ missing }) => missing === null).map(judge);
  const better = known.filter(({ good, bad }) => good.length > 0 && bad.length === 0);
  const best = better.sort((a, b) => weightOf(b.good) - weightOf(a.good))[0];
  if (best) return shiftToVariant(variants, best);
  const isWorse = ({ good, bad }: Judgement) => bad.length > 0 && good.length === 0;
  if (known.length === comparisons.length && known.some(isWorse) && !known.some(({ good }) => good.length > 0))
    return shiftToBaseline(variants, first.baseline, known.filter(isWorse));
  const unknown = comparisons.flatMap(({ missing }) => missing ?? []);
  const sentences = [...new Set([...known.map(describe), ...unknown])];
  const isMixed = known.some(({ good, bad }) => good.length > 0 && bad.length > 0);
  const action = unknown.length > 0 ? 'WAIT' : 'KEEP';
  const advice = isMixed
    ? 'Weigh the one against the other; until then keep the split.'
    : action === 'WAIT'
      ? 'Keep the split until there are more requests.'
      : 'Keep the split.';
  return stay(action, [...sentences, advice].join(' '));
}

function judge(comparison: VariantComparison): Judgement {
  const effects = effectsOf(comparison);
  return {
    comparison,
    good: effects.filter(({ isGood }) => isGood),
    bad: effects.filter(({ isGood }) => !isGood),
  };
}

function weightOf(effects: readonly Effect[]): number {
  return effects.reduce((sum, { weight }) => sum + weight, 0);
}

function shiftToVariant(variants: readonly Variant[], judgement: Judgement): Recommendation {
  const { variant, errorRate } = judgement.comparison;
  const most = errorRate?.high ?? 1;
  if (most <= UNCERTAIN_ERRORS) return shift(variants, variant, MOST, `${describe(judgement)} So`);
  const now = variant.percentage ?? 100 / variants.length;
  const why = `${describe(judgement)} Up to ${signed(most * 100)} points of failures are not ruled out, so`;
  return shift(variants, variant, Math.round((Math.min(now, MOST) + MOST) / 2), why);
}

function shiftToBaseline(variants: readonly Variant[], baseline: Variant, worse: readonly Judgement[]): Recommendation {
  return shift(variants, baseline, MOST, `${worse.map(describe).join(' ')} So`);
}

function shift(variants: readonly Variant[], winner: Variant, percentage: number, why: string): Recommendation {
  if ((winner.percentage ?? 0) >= percentage)
    return stay('KEEP', `${why} keep the split: ${winner.label} gets ${winner.percentage}% already.`);
  const shares = sharesWith(variants, winner, percentage);
  return { action: 'SHIFT', text: `${why} shift ${percentage}% of the requests to ${winner.label}.`, winner, shares };
}

function stay(action: Action, text: string): Recommendation {
  return { action, text, winner: null, shares: [] };
}

/** One comparison in a sentence. */
function describe({ comparison, good, bad }: Judgement): string {
  const { variant, baseline, errorRate } = comparison;
  const [name, base] = [nameOf(variant), nameOf(baseline)];
  const words = (effects: readonly Effect[]) => list(effects.map((effect) => effect.words));
  if (good.length === 0 && bad.length === 0) {
    const ranges = rangesOf(comparison);
    return `Between ${name} and ${base} no difference is beyond chance${ranges.length > 0 ? ` (${list(ranges)})` : ''}.`;
  }
  const sides = good.length > 0 && bad.length > 0 ? `${words(good)}, but ${words(bad)}` : words([...good, ...bad]);
  const same =
    errorRate && !errorRate.isSignificant
      ? `, at the same error rate (${signed(errorRate.low * 100)} to ${signed(errorRate.high * 100)} points)`
      : '';
  return `Compared with ${base}, ${name} is ${sides}${same}.`;
}
