import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyEstimate } from '../../../src/gateway/routing/latency.ts';

const MINUTE = 60_000;

function measured(values: readonly number[], now = 0): LatencyEstimate {
  const estimate = new LatencyEstimate(now);
  for (const value of values) estimate.add(value, now);
  return estimate;
}

describe('a latency estimate', () => {
  test('is near the median, whatever was measured', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 900_000 }), { minLength: 3, maxLength: 30 }), (values) => {
        const sorted = [...values].sort((a, b) => a - b);
        const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
        const estimate = measured(values).median(0) ?? expect.fail('nothing is known');
        // Newer ones count a little more, and buckets are a tenth wide.
        expect(estimate).toBeGreaterThanOrEqual(Math.floor(at(0.25) / 1.1));
        expect(estimate).toBeLessThanOrEqual(Math.ceil(at(0.75) * 1.1));
      }),
    );
  });

  test('of equal measurements is them, to within 5%', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 900_000 }), (ms) => {
        const estimate = measured([ms, ms, ms]).median(0) ?? 0;
        expect(Math.abs(estimate - ms) / ms).toBeLessThan(0.06);
      }),
    );
  });

  test('is not there before three measurements, and not any more some hours after the last', () => {
    expect(measured([100, 100]).median(0)).toBeNull();
    expect(measured([100, 100, 100]).median(0)).not.toBeNull();
    expect(measured(Array(500).fill(100)).median(3 * 60 * MINUTE)).toBeNull();
  });

  test('follows a change within some forty calls, however many came before', () => {
    const estimate = measured(Array(10_000).fill(100));
    for (let call = 0; call < 45; call++) estimate.add(3_000, 1_000);
    expect(estimate.median(1_000)).toBeGreaterThan(2_700);
  });

  test('of a target that is called every ten minutes stays known', () => {
    const estimate = new LatencyEstimate(0);
    for (let call = 0; call < 50; call++) estimate.add(700, call * 10 * MINUTE);
    expect(estimate.median(500 * MINUTE)).toBeGreaterThan(650);
  });

  test('lasts for weeks of traffic', () => {
    const estimate = new LatencyEstimate(0);
    for (let minute = 0; minute < 30_000; minute++) estimate.add(500, minute * MINUTE);
    const end = 30_000 * MINUTE;
    expect(estimate.median(end)).toBeGreaterThan(450);
    for (let call = 0; call < 50; call++) estimate.add(2_000, end);
    expect(estimate.median(end)).toBeGreaterThan(1_800);
    expect(Number.isFinite(estimate.weight(end))).toBe(true);
  });
});
