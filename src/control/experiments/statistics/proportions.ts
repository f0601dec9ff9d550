import { type Interval, normalTails, Z95 } from './distributions.ts';

/** So many of so many. */
export interface Proportion {
  events: number;
  trials: number;
}

export interface ProportionDifference extends Interval {
  /** The second share less the first. */
  difference: number;
  pValue: number;
  test: 'FISHER_EXACT' | 'TWO_PROPORTION_Z';
}

/** Below this many expected in any of the four cells the normal approximation does not hold (Cochran 1954). */
const LEAST_EXPECTED = 5;
/** Tables whose probabilities differ by less than this are equally likely: they are sums of rounded numbers. */
const ROUNDING = 1e-7;

/** The score interval of Wilson (1927), which also holds for small numbers and shares of 0 and 1. Null: no trials. */
export function wilson({ events, trials }: Proportion): Interval | null {
  if (trials === 0) return null;
  const share = events / trials;
  const z2 = Z95 ** 2;
  const centre = share + z2 / (2 * trials);
  const margin = Z95 * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials ** 2));
  const scale = 1 + z2 / trials;
  return { low: Math.max(0, (centre - margin) / scale), high: Math.min(1, (centre + margin) / scale) };
}

/**
 * How much two shares differ: the interval is Newcombe's (1998, method 10), the p-value that of the pooled z-test, or
 * of Fisher's exact test where fewer than five are expected in a cell. Null: one of them has no trials.
 */
export function compareProportions(first: Proportion, second: Proportion): ProportionDifference | null {
  const [a, b] = [wilson(first), wilson(second)];
  if (!a || !b) return null;
  const [p, q] = [first.events / first.trials, second.events / second.trials];
  const difference = q - p;
  const isSmall = leastExpected(first, second) < LEAST_EXPECTED;
  return {
    difference,
    low: difference - Math.hypot(q - b.low, a.high - p),
    high: difference + Math.hypot(b.high - q, p - a.low),
    pValue: isSmall ? fisher(first, second) : pooledTest(first, second),
    test: isSmall ? 'FISHER_EXACT' : 'TWO_PROPORTION_Z',
  };
}

function leastExpected(first: Proportion, second: Proportion): number {
  const trials = first.trials + second.trials;
  const events = first.events + second.events;
  return (Math.min(events, trials - events) * Math.min(first.trials, second.trials)) / trials;
}

function pooledTest(first: Proportion, second: Proportion): number {
  const pooled = (first.events + second.events) / (first.trials + second.trials);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / first.trials + 1 / second.trials));
  return normalTails((second.events / second.trials - first.events / first.trials) / error);
}

/** The probability of all tables with the same margins that are at most as likely as this one. */
function fisher(first: Proportion, second: Proportion): number {
  const events = first.events + second.events;
  const fewest = Math.max(0, events - second.trials);
  const most = Math.min(events, first.trials);
  const ratio = (k: number) => ((events - k) * (first.trials - k)) / ((k + 1) * (second.trials - events + k + 1));
  // How likely each other table is in relation to this one, step by step away from it.
  const others: number[] = [];
  let likely = 1;
  for (let k = first.events; k < most; k++) {
    likely *= ratio(k);
    others.push(likely);
  }
  likely = 1;
  for (let k = first.events - 1; k >= fewest; k--) {
    likely /= ratio(k);
    others.push(likely);
  }
  const sum = (of: readonly number[]) => of.reduce((total, one) => total + one, 1);
  return Math.min(1, sum(others.filter((one) => one <= 1 + ROUNDING)) / sum(others));
}
