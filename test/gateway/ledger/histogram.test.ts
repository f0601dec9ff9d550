import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { latencySlot, percentile, slotBounds, slotValue } from '../../../src/gateway/ledger/histogram.ts';

const latency = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 2 ** 31 - 1 }));

describe('the latency histogram', () => {
  it('puts every latency within the bounds of its slot, and within 5% of its estimate', () => {
    fc.assert(
      fc.property(latency, (ms) => {
        const slot = latencySlot(ms);
        const { over, upTo } = slotBounds(slot);
        expect(ms).toBeGreaterThan(over * (1 - 1e-6) - 1e-6);
        expect(ms).toBeLessThanOrEqual(upTo * (1 + 1e-6));
        expect(Math.abs(slotValue(slot) - ms)).toBeLessThanOrEqual(ms * 0.05 + 1e-6);
        expect(slot).toBeLessThan(32_768);
      }),
    );
  });

  it('never puts a longer latency into a lower slot', () => {
    fc.assert(fc.property(latency, latency, (a, b) => a > b || latencySlot(a) <= latencySlot(b)));
  });

  it('answers percentiles within 5% of the exact ones', () => {
    const shares = fc.constantFrom(0, 0.5, 0.75, 0.95, 0.99, 1);
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1, maxLength: 300 }), shares, (latencies, share) => {
        const sorted = [...latencies].sort((a, b) => a - b);
        const exact = sorted[Math.max(Math.ceil(share * sorted.length), 1) - 1] as number;
        const slots = latencies.map((ms) => ({ slot: latencySlot(ms), count: 1 }));
        expect(Math.abs((percentile(slots, share) ?? Number.NaN) - exact)).toBeLessThanOrEqual(exact * 0.05 + 1e-6);
      }),
    );
  });

  it('has no percentile of nothing', () => {
    expect(percentile([], 0.5)).toBeNull();
  });
});
