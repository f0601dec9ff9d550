import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countTokens } from '../../../src/gateway/ledger/estimate.ts';
import { costOf, priceVersion, UNKNOWN_USAGE } from '../../../src/gateway/ledger/prices.ts';

const usage = (over: object) => ({ ...UNKNOWN_USAGE, inputTokens: 0, outputTokens: 0, ...over });

describe('cost', () => {
  test('cached and cache-written tokens have their own prices and are part of the input', () => {
    const price = priceVersion({ input: 3_000_000, output: 15_000_000, cacheRead: 300_000, cacheWrite: 3_750_000 });
    const cost = costOf(
      usage({ inputTokens: 1_000, cachedTokens: 600, cacheWriteTokens: 100, outputTokens: 10 }),
      price,
    );
    expect(cost).toBe(300n * 3_000_000n + 600n * 300_000n + 100n * 3_750_000n + 10n * 15_000_000n);
  });

  test('an unknown price or an unknown usage has an unknown cost, never 0', () => {
    expect(costOf(usage({ inputTokens: 1 }), null)).toBeNull();
    expect(costOf(UNKNOWN_USAGE, priceVersion({ input: 1, output: 1 }))).toBeNull();
  });

  test('is exact for any counts, and never negative even when a provider’s parts exceed its whole', () => {
    const tokens = fc.nat(2_147_483_647);
    fc.assert(
      fc.property(tokens, tokens, tokens, tokens, fc.nat(10 ** 9), (input, output, cached, written, price) => {
        const flat = priceVersion({ input: price, output: price });
        const cost = costOf(
          usage({ inputTokens: input, outputTokens: output, cachedTokens: cached, cacheWriteTokens: written }),
          flat,
        );
        expect(cost).toBe((BigInt(input) + BigInt(output)) * BigInt(price));
      }),
    );
  });

  test('equal components are one version, different ones are not', () => {
    expect(priceVersion({ output: 2, input: 1 }).id).toBe(priceVersion({ input: 1, output: 2 }).id);
    expect(priceVersion({ input: 1, output: 2, cacheRead: 1 }).id).not.toBe(priceVersion({ input: 1, output: 2 }).id);
  });
});

describe('counting tokens', () => {
  test('an unbroken megabyte is counted within 100 ms', () => {
    countTokens('warm up');
    const startedAt = performance.now();
    expect(countTokens('a'.repeat(1_000_000))).toBeGreaterThan(10_000);
    expect(performance.now() - startedAt).toBeLessThan(100);
  });

  test('names of special tokens are text', () => {
    expect(countTokens('<|endoftext|>')).toBeGreaterThan(1);
  });

  test('a text of which only the beginning was kept is taken to go on alike', () => {
    const text = 'The signalman pulls the lever. '.repeat(2_000);
    const whole = countTokens(text);
    expect(Math.abs(countTokens(text.slice(0, 5_000), text.length) - whole) / whole).toBeLessThan(0.05);
    expect(countTokens('')).toBe(0);
  });
});
