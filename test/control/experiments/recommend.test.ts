import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVariants, type MeasuredVariant } from '../../../src/control/experiments/compare.ts';
import type { Judged } from '../../../src/control/experiments/judgements.ts';
import { recommend } from '../../../src/control/experiments/recommend.ts';
import { sharesWith } from '../../../src/control/experiments/shares.ts';
import { picodollars } from '../../../src/platform/money.ts';

interface Told {
  succeeded?: number;
  failed?: number;
  /** Averages of an answer; each varies by half. */
  latency?: number;
  firstToken?: number;
  cost?: number;
  percentage?: number | null;
}

const UNJUDGED = { wins: 0, losses: 0, ties: 0 };

function measured(label: string, told: Told): MeasuredVariant {
  const { succeeded = 1_000, failed = 10, latency = 800, firstToken = 200, cost = 1_000, percentage = 50 } = told;
  const sample = (mean: number) => ({
    count: succeeded,
    mean,
    variance: (mean / 2) ** 2,
    p50: null,
    p95: null,
    p99: null,
  });
  return {
    variant: { id: label, label, provider: `p-${label.toLowerCase()}`, models: [], percentage },
    sums: {
      ...{ requests: BigInt(succeeded + failed), succeeded: BigInt(succeeded), failed: BigInt(failed) },
      ...{ cancelled: 0n, indeterminate: 0n, inputTokens: 0n, outputTokens: 0n, unpricedRequests: 0n },
      cost: picodollars(BigInt(succeeded * cost)),
    },
    sample: {
      sampled: succeeded + failed,
      ...{ latencyMs: sample(latency), timeToFirstTokenMs: sample(firstToken), cost: sample(cost) },
    },
    judged: UNJUDGED,
  };
}

/** What is recommended when A, B … are like this, and against A were judged like this. */
function advice(told: readonly Told[], judged: Record<string, Judged> = {}) {
  const all = told.map((one, index) => measured('ABCDE'[index] ?? '', one));
  const [baseline, ...others] = all as [MeasuredVariant, ...MeasuredVariant[]];
  const comparisons = compareVariants(baseline, others, (id) => judged[id] ?? UNJUDGED);
  const variants = all.map(({ variant }) => variant);
  const { shares, winner, ...rest } = recommend(variants, comparisons);
  return { ...rest, winner: winner?.id ?? null, shares: shares.map(({ percentage }) => percentage), comparisons };
}

describe('a recommendation', () => {
  it('shifts to what is cheaper and fails no more', () => {
    const { text, ...rest } = advice([
      { succeeded: 10_000, failed: 100 },
      { succeeded: 10_000, failed: 105, cost: 660 },
    ]);
    expect(rest).toMatchObject({ action: 'SHIFT', winner: 'B', shares: [20, 80] });
    expect(text).toBe(
      'Compared with A (p-a), B (p-b) is 34% cheaper (p < 0.001), at the same error rate (−0.2 to +0.3 points). So shift 80% of the requests to B.',
    );
  });

  it('goes half the way where failures are not ruled out', () => {
    const told = advice([
      { succeeded: 150, failed: 3, percentage: 80 },
      { succeeded: 150, failed: 4, percentage: 20, cost: 400 },
    ]);
    expect(told).toMatchObject({ action: 'SHIFT', winner: 'B', shares: [50, 50] });
    const step = advice([
      { succeeded: 150, failed: 3 },
      { succeeded: 150, failed: 3, cost: 400 },
    ]);
    expect(step).toMatchObject({ action: 'SHIFT', winner: 'B', shares: [35, 65] });
    expect(told.text).toMatch(/Up to \+\d.* points of failures are not ruled out, so shift 50% of the requests to B/);
  });

  it('shifts back to the baseline from what is only worse', () => {
    const told = advice([{ percentage: 30 }, { percentage: 70, failed: 80 }]);
    expect(told).toMatchObject({ action: 'SHIFT', winner: 'A', shares: [80, 20] });
    expect(told.text).toContain('B (p-b) is failing 6.4 points more often (p < 0.001)');
  });

  it('leaves it to people to weigh what is cheaper but slower', () => {
    const told = advice([{}, { cost: 500, latency: 1_200 }]);
    expect(told).toMatchObject({ action: 'KEEP', winner: null, shares: [] });
    expect(told.text).toContain('50% cheaper (p < 0.001), but 50% slower (p < 0.001)');
    expect(told.text).toContain('Weigh the one against the other');
  });

  it('keeps a split without differences, and says how large they may be', () => {
    const told = advice([{}, { failed: 11, cost: 1_005 }]);
    expect(told).toMatchObject({ action: 'KEEP', winner: null });
    expect(told.text).toMatch(
      /no difference is beyond chance \(errors −\d.* to \+\d.* points and cost −.*% to \+.*%\)/,
    );
  });

  it('does not follow differences that are certain, and too small to matter', () => {
    const many = { succeeded: 100_000, failed: 1_000 };
    const told = advice([many, { ...many, cost: 995, latency: 780 }]);
    expect(told.comparisons[0]).toMatchObject({ cost: { isSignificant: true }, latencyMs: { isSignificant: true } });
    expect(told).toMatchObject({ action: 'KEEP', winner: null });
  });

  it('waits for requests, and says how many there are', () => {
    const told = advice([{}, { succeeded: 60, failed: 0, cost: 10 }]);
    expect(told).toMatchObject({ action: 'WAIT', winner: null, shares: [] });
    expect(told.comparisons[0]).toMatchObject({ cost: { isSignificant: false }, errorRate: { isSignificant: false } });
    expect(told.text).toContain('A comparison needs 100 requests that succeeded or failed of each variant; B has 60.');
    expect(advice([{}])).toMatchObject({ action: 'WAIT', text: 'A comparison needs two targets; the route has 1.' });
  });

  it('follows judgements, and none where there are fewer than ten', () => {
    const judged = { wins: 18, losses: 2, ties: 5 };
    const told = advice([{}, {}], { B: judged });
    expect(told).toMatchObject({ action: 'SHIFT', winner: 'B' });
    expect(told.text).toContain('B (p-b) is judged better in 18 of 20 (p < 0.001)');
    expect(told.comparisons[0]?.judged).toMatchObject({ ...judged, winRate: 0.9, isSignificant: true });
    expect(advice([{}, {}], { B: { wins: 9, losses: 0, ties: 0 } })).toMatchObject({ action: 'KEEP' });
    expect(advice([{}, { cost: 500 }], { B: { wins: 2, losses: 18, ties: 0 } }).text).toContain(
      'but judged better in 2 of 20',
    );
  });

  it('takes the best of several, and sets the p-values of several against each other', () => {
    const told = advice([{}, { cost: 900 }, { cost: 500 }, {}, { failed: 60, cost: 200 }]);
    expect(told).toMatchObject({ action: 'SHIFT', winner: 'C' });
    // E is cheaper still, and fails more.
    expect(told.shares).toEqual([5, 5, 80, 5, 5]);
    for (const { cost } of told.comparisons) expect(cost?.adjustedPValue).toBeGreaterThanOrEqual(cost?.pValue ?? 2);
    const [alone] = advice([{}, { cost: 945 }]).comparisons;
    const [among] = advice([{}, { cost: 945 }, {}, {}, {}]).comparisons;
    expect(alone?.cost).toMatchObject({ isSignificant: true, pValue: among?.cost?.pValue });
    expect(alone?.cost?.adjustedPValue).toBe(alone?.cost?.pValue);
    expect(among?.cost?.adjustedPValue).toBeCloseTo((among?.cost?.pValue ?? 0) * 4, 12);
  });

  it('leaves a split that is like this already', () => {
    const told = advice([{ percentage: 10 }, { percentage: 90, cost: 500 }]);
    expect(told).toMatchObject({ action: 'KEEP', shares: [] });
    expect(told.text).toContain('B gets 90% already');
  });

  it('shares out 100%, whole, to all variants in the proportions of now', () => {
    const percentages = fc.array(fc.option(fc.double({ min: 0, max: 100, noNaN: true })), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(percentages, fc.nat(), fc.integer({ min: 1, max: 99 }), (shares, place, most) => {
        const variants = shares.map((percentage, index) => ({ ...measured(`${index}`, { percentage }).variant }));
        const winner = variants[place % variants.length];
        if (!winner) throw new Error('There is one.');
        const wanted = sharesWith(variants, winner, most);
        expect(wanted.map(({ variant }) => variant)).toEqual(variants);
        expect(wanted.every(({ percentage }) => Number.isInteger(percentage) && percentage >= 0)).toBe(true);
        expect(wanted.reduce((sum, { percentage }) => sum + percentage, 0)).toBe(100);
        const got = wanted.find(({ variant }) => variant === winner)?.percentage;
        expect(got).toBe(variants.length === 1 ? 100 : most);
      }),
    );
  });
});
