import { describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/gateway/admission/caller.ts';
import { RateLimiter } from '../../../src/gateway/admission/rate-limit.ts';

const from = (address: string): Caller => ({ kind: 'ANONYMOUS', address });

describe('rate limits', () => {
  test('as many as the limit pass at once, then one for each refilled part of the minute', () => {
    const limiter = new RateLimiter({ rateLimitPerMinute: 60 });
    const now = 1_000_000;
    for (let i = 0; i < 60; i++) expect(limiter.take(from('a'), now)?.allowed).toBe(true);
    expect(limiter.take(from('a'), now)).toMatchObject({ allowed: false, remaining: 0, retryAfterSeconds: 1 });
    expect(limiter.take(from('a'), now + 1_000)?.allowed).toBe(true);
    expect(limiter.take(from('a'), now + 1_000)?.allowed).toBe(false);
  });

  test('addresses do not share a limit, and 0 switches it off', () => {
    const limiter = new RateLimiter({ rateLimitPerMinute: 1 });
    expect(limiter.take(from('a'), 0)?.allowed).toBe(true);
    expect(limiter.take(from('b'), 0)?.allowed).toBe(true);
    expect(new RateLimiter({ rateLimitPerMinute: 0 }).take(from('a'))).toBeNull();
  });

  test('never more than the limit and one minute’s refill pass in any minute', () => {
    const limiter = new RateLimiter({ rateLimitPerMinute: 100 });
    let passed = 0;
    for (let ms = 0; ms < 60_000; ms += 10) if (limiter.take(from('a'), ms)?.allowed) passed++;
    expect(passed).toBeLessThanOrEqual(200);
    expect(passed).toBeGreaterThanOrEqual(198);
  });

  test('a clock that goes back gives nothing away', () => {
    const limiter = new RateLimiter({ rateLimitPerMinute: 2 });
    limiter.take(from('a'), 10_000);
    limiter.take(from('a'), 10_000);
    expect(limiter.take(from('a'), 0)?.allowed).toBe(false);
  });
});
