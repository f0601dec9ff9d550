import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyEstimate } from '../../../src/gateway/routing/latency.ts';

function measured(values: readonly number[], now = 0): LatencyEstimate {
  const estimate = new LatencyEstimate(now);
  for (const value of values) estimate.add(value, now);
  return estimate;
}

describe('a latency estimate', () => {
  test('is the median, to within 5%', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 5, max: 500_000 }), { minLength: 3, maxLength: 400 }), (values) => {
        const sorted = [...values].sort((a, b) => a - b);
        const median = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0;
        const estimate = measured(values).median(0) ?? expect.fail('nothing is known');
        expect(Math.abs(estimate - median) / median).toBeLessThanOrEqual(0.11);
      }),
    );
  });

  test('is not there before three measurements, and not any more once they are long ago', () => {
    expect(measured([100, 100]).median(0)).toBeNull();
    expect(measured([100, 100, 100]).median(0)).not.toBeNull();
    expect(measured(Array(100).fill(100)).median(30 * 60_000)).toBeNull();
  });

  test('follows a change: what is two minutes older counts half', () => {
    const estimate = measured(Array(20).fill(100));
    for (let call = 0; call < 12; call++) estimate.add(3_000, 120_000);
    expect(estimate.median(120_000)).toBeGreaterThan(2_700);
  });

  test('lasts for weeks without losing what it knows', () => {
    const estimate = new LatencyEstimate(0);
    const week = 7 * 86_400_000;
    for (let minute = 0; minute < 10_000; minute++) estimate.add(500, minute * 60_000);
    expect(estimate.median(week)).toBeNull();
    for (let call = 0; call < 10; call++) estimate.add(2_000, week);
    expect(estimate.median(week)).toBeGreaterThan(1_800);
    expect(Number.isFinite(estimate.weight(week))).toBe(true);
  });
});
