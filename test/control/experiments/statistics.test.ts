import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signTest } from '../../../src/control/experiments/statistics/distributions.ts';
import { adjustTogether } from '../../../src/control/experiments/statistics/holm.ts';
import { compareMeans, type Sample } from '../../../src/control/experiments/statistics/means.ts';
import { compareProportions, wilson } from '../../../src/control/experiments/statistics/proportions.ts';
import { random } from './random.ts';

/** `[events, trials]` as they are written in the literature. */
const of = ([events, trials]: readonly [number, number]) => ({ events, trials });

// The numbers are those of SciPy 1.17 and statsmodels.
describe('the share of failures', () => {
  it.each([
    [81, 263, 0.2552885198782742, 0.3662095769828],
    [0, 20, 0, 0.1611251580528194],
    [1, 29, 0.006113214292762667, 0.17175521879320294],
    [20, 20, 1 - 0.1611251580528194, 1],
  ])('%i of %i has the interval of Wilson', (events, trials, low, high) => {
    const interval = wilson({ events, trials });
    expect(interval?.low).toBeCloseTo(low, 9);
    expect(interval?.high).toBeCloseTo(high, 9);
  });

  it('is unknown where nothing was tried', () => {
    expect(wilson({ events: 0, trials: 0 })).toBeNull();
    expect(compareProportions(of([0, 0]), of([1, 2]))).toBeNull();
  });

  // The first is Newcombe's own example (1998).
  it.each([
    [[48, 80], [56, 70], 0.05243147240236498, 0.33387265403690614],
    [[12, 1200], [30, 1000], 0.008422174689746912, 0.033212565415589444],
    [[0, 29], [5, 56], -0.038137147903536936, 0.19256001385511165],
    [[3, 10], [9, 10], 0.1705227239345029, 0.809017973535488],
  ] as const)('differs between %j and %j by the interval of Newcombe', (first, second, low, high) => {
    const found = compareProportions(of(first), of(second));
    expect(found?.difference).toBeCloseTo(second[0] / second[1] - first[0] / first[1], 12);
    expect(found?.low).toBeCloseTo(low, 9);
    expect(found?.high).toBeCloseTo(high, 9);
  });

  it.each([
    ['TWO_PROPORTION_Z', [48, 80], [56, 70], 0.00804508136819656],
    ['TWO_PROPORTION_Z', [12, 1200], [30, 1000], 0.0006416804512722583],
    ['TWO_PROPORTION_Z', [40, 2000], [70, 2100], 0.0082655608834842],
    ['FISHER_EXACT', [8, 10], [1, 6], 0.034965034965034975],
    ['FISHER_EXACT', [3, 1000], [0, 1200], 0.09376061152635913],
    ['FISHER_EXACT', [3, 100], [0, 200], 0.036295481582904986],
    ['FISHER_EXACT', [98, 100], [150, 150], 0.1590361445783133],
    ['FISHER_EXACT', [0, 50], [0, 60], 1],
  ] as const)('is tested by %s: %j and %j', (test, first, second, pValue) => {
    for (const found of [compareProportions(of(first), of(second)), compareProportions(of(second), of(first))]) {
      expect(found?.test).toBe(test);
      expect(found?.pValue).toBeCloseTo(pValue, 9);
    }
  });

  it('is tested in no time and within its bounds, however large and unequal the numbers are', () => {
    const proportion = fc
      .record({ trials: fc.integer({ min: 1, max: 10 ** 7 }), rate: fc.constantFrom(0, 1e-6, 0.001, 0.5, 0.9999, 1) })
      .map(({ trials, rate }) => ({ trials, events: Math.round(trials * rate) }));
    fc.assert(
      fc.property(proportion, proportion, (first, second) => {
        const found = compareProportions(first, second);
        expect(found?.pValue).toBeGreaterThanOrEqual(0);
        expect(found?.pValue).toBeLessThanOrEqual(1);
        expect(found?.low).toBeGreaterThanOrEqual(-1 - 1e-12);
        expect(found?.high).toBeLessThanOrEqual(1 + 1e-12);
        expect(found?.difference).toBeGreaterThanOrEqual(found?.low ?? 2);
        expect(found?.difference).toBeLessThanOrEqual(found?.high ?? -2);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a difference of means', () => {
  it.each([
    [[30, 20.6, 9.24], [40, 22.1, 3.31], 0.02068247063907793, 0.2404333919238466, 2.7595666080761534],
    [[1200, 820, 410 ** 2], [900, 790, 380 ** 2], 0.08369, -63.997923, 3.997923],
    [[100, 100, 0], [50, 101, 25], 0.16362201811838453, -0.4209842774786494, 2.4209842774786496],
  ] as const)('is that of Welch: %j and %j', (first, second, pValue, low, high) => {
    const sample = ([count, mean, variance]: readonly [number, number, number]) => ({ count, mean, variance });
    const found = compareMeans(sample(first), sample(second));
    expect(found.pValue).toBeCloseTo(pValue, 5);
    expect(found.low).toBeCloseTo(low, 4);
    expect(found.high).toBeCloseTo(high, 4);
  });

  it('is certain where nothing varies', () => {
    const constant = (mean: number) => ({ count: 100, mean, variance: 0 });
    expect(compareMeans(constant(5), constant(5))).toEqual({ difference: 0, low: 0, high: 0, pValue: 1 });
    expect(compareMeans(constant(5), constant(4))).toEqual({ difference: -1, low: -1, high: -1, pValue: 0 });
  });
});

it.each([
  [18, 2, 0.0004024505615234375],
  [40, 60, 0.05688793364098089],
  [5, 0, 0.0625],
  [7, 7, 1],
  [0, 0, 1],
])('the sign test of %i wins and %i losses', (wins, losses, pValue) => {
  expect(signTest(wins, losses)).toBeCloseTo(pValue, 6);
  expect(signTest(losses, wins)).toBe(signTest(wins, losses));
});

describe('p-values that are looked at together', () => {
  it('are adjusted by Holm, and unknown ones do not count', () => {
    const adjusted = adjustTogether([0.01, null, 0.04, 0.03, 0.005]);
    expect(adjusted.map((one) => one && Number(one.toFixed(9)))).toEqual([0.03, null, 0.06, 0.06, 0.02]);
    expect(adjustTogether([null, 0.03])).toEqual([null, 0.03]);
  });

  it('keep their order, never become smaller, and never pass 1', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 50 }), (pValues) => {
        const adjusted = adjustTogether(pValues) as number[];
        for (const [index, one] of adjusted.entries()) {
          expect(one).toBeGreaterThanOrEqual(pValues[index] ?? 2);
          expect(one).toBeLessThanOrEqual(1);
          for (const [other, another] of adjusted.entries())
            if ((pValues[index] ?? 0) < (pValues[other] ?? 0)) expect(one).toBeLessThanOrEqual(another);
        }
      }),
    );
  });
});

describe('in 4,000 experiments', () => {
  const RUNS = 4_000;

  /** The share of experiments with a p-value below 0.05, and of those whose interval holds the true difference. */
  function rates(run: () => { pValue: number; low: number; high: number }, truth: number) {
    let found = 0;
    let covered = 0;
    for (let index = 0; index < RUNS; index++) {
      const { pValue, low, high } = run();
      if (pValue < 0.05) found += 1;
      if (low <= truth && truth <= high) covered += 1;
    }
    return { found: found / RUNS, covered: covered / RUNS };
  }

  function failures(next: () => number, trials: number, rate: number) {
    let events = 0;
    for (let index = 0; index < trials; index++) if (next() < rate) events += 1;
    return { events, trials };
  }

  /** Times with a long tail, as latencies have. */
  function times(next: () => number, count: number, mean: number): Sample {
    const values = Array.from({ length: count }, () => -mean * Math.log(1 - next()));
    const average = values.reduce((sum, value) => sum + value, 0) / count;
    const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (count - 1);
    return { count, mean: average, variance };
  }

  const compared = (...[first, second]: Parameters<typeof compareProportions>) => {
    const found = compareProportions(first, second);
    if (!found) throw new Error('There were trials.');
    return found;
  };

  it('without a difference, 5% find one, and 95% of the intervals hold 0', () => {
    const next = random(1);
    const errors = rates(() => compared(failures(next, 500, 0.1), failures(next, 300, 0.1)), 0);
    const latencies = rates(() => compareMeans(times(next, 200, 800), times(next, 300, 800)), 0);
    for (const { found, covered } of [errors, latencies]) {
      expect(found).toBeGreaterThan(0.04);
      expect(found).toBeLessThan(0.06);
      expect(covered).toBeGreaterThan(0.94);
      expect(covered).toBeLessThan(0.965);
    }
  });

  it('without a difference in rare failures, at most 5% find one', () => {
    const next = random(2);
    const { found } = rates(() => compared(failures(next, 200, 0.01), failures(next, 200, 0.01)), 0);
    expect(found).toBeLessThan(0.05);
  });

  it('with a difference nearly all find it, and 95% of the intervals hold it', () => {
    const next = random(3);
    const errors = rates(() => compared(failures(next, 500, 0.05), failures(next, 500, 0.15)), 0.1);
    const latencies = rates(() => compareMeans(times(next, 200, 1_000), times(next, 200, 500)), -500);
    for (const { found, covered } of [errors, latencies]) {
      expect(found).toBeGreaterThan(0.98);
      expect(covered).toBeGreaterThan(0.935);
      expect(covered).toBeLessThan(0.965);
    }
  });

  it('with five variants that are all the same, 5% find any difference after the adjustment', () => {
    const next = random(4);
    let found = 0;
    for (let index = 0; index < RUNS; index++) {
      const baseline = failures(next, 200, 0.2);
      const pValues = [1, 2, 3, 4].map(() => compared(baseline, failures(next, 200, 0.2)).pValue);
      if (adjustTogether(pValues).some((pValue) => (pValue ?? 1) < 0.05)) found += 1;
    }
    expect(found / RUNS).toBeLessThan(0.055);
    expect(found / RUNS).toBeGreaterThan(0.02);
  });
});
