import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { costOfWorst, worstCase } from '../../../src/gateway/allowances/worst-case.ts';
import { countTokens, estimateInput } from '../../../src/gateway/ledger/estimate.ts';
import { costOf, priceVersion, UNKNOWN_USAGE } from '../../../src/gateway/ledger/prices.ts';
import { sha256Hex } from '../../../src/platform/crypto.ts';

const RATES = { input: 3, output: 15, cacheRead: 1, cacheWrite: 4, cacheWrite1h: 7, reasoning: 11 };
/** What a token of each kind costs by these rates. */
const PARTS = { plain: 3, cached: 1, written: 4, hour: 7, output: 15, thought: 11 };
const count = fc.nat(100);
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

  test('adds up: what is used in two calls of one tier costs what both cost', () => {
    const tiers = [{ ...RATES, above: 1_000, input: 6, output: 22 }];
    const call = fc.record({ plain: count, cached: count, written: count, hour: count, output: count, thought: count });
    const costs = (...calls: { [part in keyof typeof PARTS]: number }[]) => {
      const sum = (...parts: (keyof typeof PARTS)[]) =>
        parts.reduce((all, part) => all + calls.reduce((total, one) => total + one[part], 0), 0);
      const tokens = usage({
        inputTokens: sum('plain', 'cached', 'written', 'hour'),
        cachedTokens: sum('cached'),
        cacheWriteTokens: sum('written', 'hour'),
        cacheWrite1hTokens: sum('hour'),
        outputTokens: sum('output', 'thought'),
        reasoningTokens: sum('thought'),
      });
      return costOf(tokens, priceVersion({ ...RATES, tiers })) as bigint;
    };
    fc.assert(
      fc.property(call, call, (one, other) => {
        expect(costs(one, other)).toBe(costs(one) + costs(other));
        const parts = Object.keys(PARTS) as (keyof typeof PARTS)[];
        expect(costs(one)).toBe(parts.reduce((sum, part) => sum + BigInt(one[part] * PARTS[part]), 0n));
      }),
    );
  });

  test('is never less for a longer call, and jumps where a tier begins', () => {
    const price = priceVersion({ ...RATES, tiers: [{ ...RATES, above: 500, input: 6 }] });
    const cost = (inputTokens: number) => costOf(usage({ inputTokens }), price) as bigint;
    for (let tokens = 0; tokens < 1_000; tokens += 1) expect(cost(tokens + 1)).toBeGreaterThan(cost(tokens));
    expect([cost(500), cost(501)]).toEqual([1_500n, 3_006n]);
  });

  test('has parts without a price of their own at the price of what they are part of', () => {
    const tokens = usage({
      ...{ inputTokens: 10, cachedTokens: 2, cacheWriteTokens: 5, cacheWrite1hTokens: 4 },
      ...{ outputTokens: 3, reasoningTokens: 2 },
    });
    expect(costOf(tokens, priceVersion({ input: 10, output: 100 }))).toBe(400n);
    // Of the five written ones all cost 20.
    expect(costOf(tokens, priceVersion({ input: 10, output: 100, cacheWrite: 20 }))).toBe(450n);
  });

  test('versions of before there were tiers keep their ids', () => {
    const ids = [
      priceVersion({ input: 400_000, output: 1_600_000 }),
      priceVersion({ input: 3, output: 15, cacheRead: 1, cacheWrite: 4, tiers: [] }),
    ].map(({ id }) => id);
    expect(ids).toEqual([sha256Hex('[400000,1600000,null,null]'), sha256Hex('[3,15,1,4]')]);
  });

  test('each component makes another version, and the order of tiers does not', () => {
    const one = { above: 10, input: 2, output: 2 };
    const other = { above: 20, input: 3, output: 3 };
    const parts = ['cacheRead', 'cacheWrite', 'cacheWrite1h', 'reasoning'].map((part) => ({ [part]: 1 }));
    const tiers = [one, other, { ...one, above: 11 }, { ...one, reasoning: 2 }].map((tier) => ({ tiers: [tier] }));
    const versions = [{}, ...parts, ...tiers].map((more) => priceVersion({ input: 1, output: 1, ...more }).id);
    expect(new Set(versions).size).toBe(9);
    const [up, down] = [
      [one, other],
      [other, one],
    ].map((all) => priceVersion({ input: 1, output: 1, tiers: all }));
    expect(down).toEqual(up);
  });

  test('equal components are one version, different ones are not', () => {
    expect(priceVersion({ output: 2, input: 1 }).id).toBe(priceVersion({ input: 1, output: 2 }).id);
    expect(priceVersion({ input: 1, output: 2, cacheRead: 1 }).id).not.toBe(priceVersion({ input: 1, output: 2 }).id);
  });
});

describe('the most that a call can cost', () => {
  test('is bounded by the dearest rates: of any tier, for reading and writing caches, for reasoning', () => {
    const tokens = fc.nat(1_000);
    const rates = fc.record(
      { input: count, output: count, cacheRead: count, cacheWrite: count, cacheWrite1h: count, reasoning: count },
      { requiredKeys: ['input', 'output'] },
    );
    const tier = fc.tuple(rates, tokens).map(([of, above]) => ({ ...of, above }));
    const price = fc.tuple(rates, fc.array(tier, { maxLength: 3 })).map(([of, tiers]) => ({ ...of, tiers }));
    fc.assert(
      fc.property(price, tokens, tokens, tokens, tokens, tokens, tokens, (components, ...counts) => {
        const [inputTokens, outputTokens, cachedTokens, cacheWriteTokens, cacheWrite1hTokens, reasoningTokens] = counts;
        const version = priceVersion(components);
        const cost = costOf(
          usage({ inputTokens, outputTokens, cachedTokens, cacheWriteTokens, cacheWrite1hTokens, reasoningTokens }),
          version,
        );
        const most = costOfWorst(worstCase(inputTokens, outputTokens, 1, 0, version));
        expect(cost).not.toBeNull();
        expect(most as bigint).toBeGreaterThanOrEqual(cost as bigint);
      }),
    );
    const dearHour = priceVersion({ ...RATES, tiers: [{ ...RATES, above: 10 ** 6, cacheWrite1h: 12, reasoning: 30 }] });
    expect(costOfWorst(worstCase(100, 20, 1, 0, dearHour))).toBe(100n * 12n + 2n * 10n * 30n);
  });

  test('is posted of a lost call only as far as its row tells again', () => {
    const price = priceVersion({ ...RATES, tiers: [{ above: 100, input: 6, output: 22 }] });
    // 404 bytes are taken to be 101 tokens.
    expect(estimateInput(404, price)).toEqual({ inputTokens: 101, cost: 606n });
    expect(estimateInput(400, price)).toEqual({ inputTokens: 100, cost: 300n });
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
