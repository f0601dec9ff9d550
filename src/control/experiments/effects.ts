import { type Difference, LEAST_JUDGEMENTS, type VariantComparison } from './compare.ts';

/** Smaller differences are found in large samples, but decide nothing. */
const LEAST_POINTS = 0.001;
const LEAST_SAVING = 0.01;
const LEAST_SPEED = 0.1;

/** Something that a variant does better or worse than the baseline, beyond chance. */
export interface Effect {
  isGood: boolean;
  /** What follows “it is”, with numbers. */
  words: string;
  /** How much it counts among several good variants: errors first, then judgements, cost, speed. */
  weight: number;
}

/** What of a comparison is beyond chance and large enough to matter, what matters most first. */
export function effectsOf({ errorRate, cost, latencyMs, timeToFirstTokenMs, judged }: VariantComparison): Effect[] {
  const effects: Effect[] = [];
  if (errorRate?.isSignificant && Math.abs(errorRate.difference) >= LEAST_POINTS) {
    const isGood = errorRate.difference < 0;
    const points = `${decimals(Math.abs(errorRate.difference) * 100)} points`;
    effects.push({
      isGood,
      words: `failing ${points} ${isGood ? 'less' : 'more'} often (${pOf(errorRate)})`,
      weight: 8,
    });
  }
  if (judged?.isSignificant) {
    const { wins, losses } = judged;
    const isGood = wins > losses;
    const words = `judged better in ${wins} of ${wins + losses} (${pOf(judged)})`;
    effects.push({ isGood, words, weight: 4 });
  }
  const relative = (of: Difference | null, least: number, [less, more]: readonly [string, string], factor: number) => {
    if (!of?.isSignificant || of.relative === null || Math.abs(of.relative) < least) return;
    const isGood = of.relative < 0;
    const words = `${percent(Math.abs(of.relative))} ${isGood ? less : more} (${pOf(of)})`;
    effects.push({ isGood, words, weight: factor * Math.min(1, Math.abs(of.relative)) });
  };
  relative(cost, LEAST_SAVING, ['cheaper', 'dearer'], 2);
  relative(latencyMs, LEAST_SPEED, ['faster', 'slower'], 1);
  relative(timeToFirstTokenMs, LEAST_SPEED, ['faster to the first token', 'slower to the first token'], 0.5);
  return effects;
}

/** How much the error rates may differ, where no difference was found; and the same for the cost. */
export function rangesOf({ errorRate, cost, judged }: VariantComparison): string[] {
  const ranges: string[] = [];
  if (errorRate) ranges.push(`errors ${signed(errorRate.low * 100)} to ${signed(errorRate.high * 100)} points`);
  if (cost?.relative != null && cost.difference !== 0) {
    const base = cost.difference / cost.relative;
    ranges.push(`cost ${signed((cost.low / base) * 100)}% to ${signed((cost.high / base) * 100)}%`);
  }
  if (judged && judged.wins + judged.losses >= LEAST_JUDGEMENTS)
    ranges.push(`${judged.wins} of ${judged.wins + judged.losses} judgements won`);
  return ranges;
}

/** `a`, `a and b`, `a, b and c`. */
export function list(parts: readonly string[]): string {
  const last = parts.at(-1) ?? '';
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(', ')} and ${last}`;
}

export function signed(value: number): string {
  const text = decimals(Math.abs(value));
  return Number(text) === 0 ? '0' : `${value < 0 ? '−' : '+'}${text}`;
}

function pOf({ adjustedPValue }: { adjustedPValue: number }): string {
  return adjustedPValue < 0.001 ? 'p < 0.001' : `p = ${adjustedPValue.toFixed(3)}`;
}

function percent(share: number): string {
  return `${decimals(share * 100)}%`;
}

/** One decimal below 10, where it says something. */
function decimals(value: number): string {
  return value < 10 ? String(Number(value.toFixed(1))) : value.toFixed(0);
}
