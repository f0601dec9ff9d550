import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costsOf, totalOf } from '../../../src/control/experiments/costs.ts';
import type { DatedSums } from '../../../src/control/experiments/variant-sums.ts';
import { picodollars } from '../../../src/platform/money.ts';

const NOW = new Date('2026-11-20T12:00:00Z');
const DAY_MS = 86_400_000;
const SPAN = {
  grain: 'HOUR',
  from: new Date(NOW.getTime() - 30 * DAY_MS),
  to: new Date('2026-11-20T13:00:00Z'),
} as const;

const variant = (id: string) => ({ id, label: id, provider: id, models: [], percentage: 50 });
const [A, B] = [variant('a'), variant('b')];

function sums(requests: bigint, cost: bigint, changes: Partial<DatedSums> = {}): DatedSums {
  return {
    ...{ requests, succeeded: requests, failed: 0n, cancelled: 0n, indeterminate: 0n },
    ...{ inputTokens: 0n, outputTokens: 0n, cost: picodollars(cost), unpricedRequests: 0n },
    firstAt: requests > 0n ? SPAN.from : null,
    ...changes,
  };
}

const one = (a: DatedSums, b: DatedSums) => costsOf([[A, a] as const, [B, b] as const], SPAN, NOW);

describe('the cost of a split', () => {
  it('is the same in a month when the span is a month', () => {
    const { variants, measuredMs } = one(sums(300n, 9_000n), sums(100n, 1_000n));
    expect(measuredMs).toBe(30 * DAY_MS);
    expect(variants.map(({ monthlyCost, monthlyRequests }) => [monthlyRequests, monthlyCost])).toEqual([
      [300n, 9_000n],
      [100n, 1_000n],
    ]);
    // 30 a call against 10.
    expect(variants.map(({ savings }) => savings)).toEqual([
      [{ to: B, ofAll: 6_000n, ofTenPercent: 600n }],
      [{ to: A, ofAll: -2_000n, ofTenPercent: -200n }],
    ]);
    expect(totalOf(variants)).toBe(10_000n);
  });

  it('is projected from the first request on, and up to now', () => {
    const firstAt = new Date(NOW.getTime() - 3 * DAY_MS);
    const { variants, measuredMs } = one(sums(300n, 9_000n, { firstAt }), sums(0n, 0n));
    expect(measuredMs).toBe(3 * DAY_MS);
    expect(variants[0]).toMatchObject({ monthlyRequests: 3_000n, monthlyCost: 90_000n });
  });

  it('takes unpriced requests to cost what the others do, never nothing', () => {
    const { variants } = one(sums(100n, 500n, { unpricedRequests: 50n }), sums(10n, 0n, { unpricedRequests: 10n }));
    expect(variants[0]).toMatchObject({ monthlyCost: 1_000n, savings: [{ to: B, ofAll: null, ofTenPercent: null }] });
    expect(variants[1]).toMatchObject({ monthlyCost: null, savings: [{ to: A, ofAll: null, ofTenPercent: null }] });
    expect(totalOf(variants)).toBeNull();
  });

  it('is nothing where nothing was asked', () => {
    const { variants, measuredMs } = one(sums(0n, 0n), sums(0n, 0n));
    expect(measuredMs).toBe(0);
    expect(variants[0]).toMatchObject({ monthlyRequests: 0n, monthlyCost: null });
    expect(totalOf(variants)).toBe(0n);
  });

  it('saves exactly what the fractions say, to half a picodollar, beyond what numbers can hold', () => {
    const amount = fc.bigInt({ min: 0n, max: 10n ** 24n });
    const count = fc.bigInt({ min: 1n, max: 10n ** 12n });
    fc.assert(
      fc.property(amount, amount, count, count, fc.integer({ min: 1, max: 720 }), (costA, costB, a, b, hours) => {
        const firstAt = new Date(NOW.getTime() - hours * 3_600_000);
        const { variants } = one(sums(a, costA, { firstAt }), sums(b, costB, { firstAt }));
        const saved = variants[0]?.savings[0]?.ofAll ?? 0n;
        // a calls at costA / a - costB / b, 720 / hours times.
        const divisor = b * BigInt(hours);
        const error = saved * divisor - (costA * b - costB * a) * 720n;
        expect(error < 0n ? -error * 2n : error * 2n).toBeLessThanOrEqual(divisor);
      }),
    );
  });
});
