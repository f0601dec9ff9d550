import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RANGES, spanOf } from '../../../src/control/metrics/span.ts';
import { ValidationError } from '../../../src/platform/errors.ts';

const BUCKET_MS = { MINUTE: 60_000, HOUR: 3_600_000 };
const HALF_PAST = new Date('2026-11-20T19:30:15Z');
const time = fc.integer({ min: Date.UTC(2020), max: Date.UTC(2030) }).map((ms) => new Date(ms));

it('covers what was asked for in whole buckets, and less than one more at each end', () => {
  fc.assert(
    fc.property(time, fc.integer({ min: 1, max: 400 * 86_400_000 }), (from, length) => {
      const to = new Date(from.getTime() + length);
      const span = spanOf({ range: 'LAST_HOUR', from, to }, HALF_PAST);
      const bucket = BUCKET_MS[span.grain];
      expect(span.grain).toBe(length <= 86_400_000 ? 'MINUTE' : 'HOUR');
      expect(span.from.getTime() % bucket).toBe(0);
      expect(span.to.getTime() % bucket).toBe(0);
      expect(from.getTime() - span.from.getTime()).toBeGreaterThanOrEqual(0);
      expect(from.getTime() - span.from.getTime()).toBeLessThan(bucket);
      expect(span.to.getTime() - to.getTime()).toBeGreaterThanOrEqual(0);
      expect(span.to.getTime() - to.getTime()).toBeLessThan(bucket);
    }),
  );
});

it('ends a named range with the bucket that is running, and keeps its length', () => {
  fc.assert(
    fc.property(time, fc.constantFrom(...(Object.keys(RANGES) as (keyof typeof RANGES)[])), (now, range) => {
      const span = spanOf({ range }, now);
      expect(span.to.getTime() - span.from.getTime()).toBe(RANGES[range]);
      expect(span.to.getTime()).toBeGreaterThan(now.getTime());
      expect(span.to.getTime() - now.getTime()).toBeLessThanOrEqual(BUCKET_MS[span.grain]);
    }),
  );
});

it('takes now for an end that is not given', () => {
  const span = spanOf({ range: 'LAST_HOUR', from: new Date('2026-11-20T19:00:30Z') }, HALF_PAST);
  expect(span).toEqual({
    grain: 'MINUTE',
    from: new Date('2026-11-20T19:00:00Z'),
    to: new Date('2026-11-20T19:31:00Z'),
  });
});

it('refuses an end without a beginning, an end before it, and more than three years', () => {
  const at = (text: string) => new Date(`${text}T00:00:00Z`);
  for (const asked of [
    { to: at('2026-01-01') },
    { from: at('2026-01-01'), to: at('2026-01-01') },
    { from: at('2026-01-02'), to: at('2026-01-01') },
    { from: at('2020-01-01'), to: at('2026-01-01') },
  ]) {
    expect(() => spanOf({ range: 'LAST_HOUR', ...asked }, HALF_PAST)).toThrow(ValidationError);
  }
});
