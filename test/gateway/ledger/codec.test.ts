import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEntry, encodeIntent, encodePrice, encodeSettlement } from '../../../src/gateway/ledger/codec.ts';
import { OpenCompletions } from '../../../src/gateway/ledger/open-completions.ts';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { intent, outcome, settlement } from './kit.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((value) => !value.includes('\0'));
const money = fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(picodollars));
const count = fc.option(fc.integer({ min: 0, max: 2 ** 31 - 1 }));

describe('the codec of journal records', () => {
  it('gives an intent back as it was', () => {
    fc.assert(
      fc.property(text, fc.dictionary(text, text, { maxKeys: 10 }), money, money, (name, tags, cost, maxLiability) => {
        const written = intent(
          { model: name, estimate: { inputTokens: 5, cost }, maxLiability },
          { requestedModel: name, tags, configVersion: 2n ** 60n },
        );
        expect(decodeEntry(encodeIntent(written))).toEqual({ kind: 'INTENT', intent: written });
      }),
    );
  });

  it('gives a settlement back as it was', () => {
    const source = fc.constantFrom('PRICED' as const, 'REPORTED' as const, 'FREE' as const, null);
    fc.assert(
      fc.property(text, money, count, source, (message, cost, tokens, costSource) => {
        const usage = { ...outcome().usage, inputTokens: tokens, outputTokens: null, cacheWrite1hTokens: tokens };
        const changes = { errorMessage: message, cost, costSource, usage, priceVersionId: message };
        const written = settlement(intent(), changes, { warnings: [message] });
        expect(decodeEntry(encodeSettlement(written))).toEqual({
          kind: 'SETTLEMENT',
          completionId: written.intent.origin.completionId,
          number: 1,
          attempt: written.attempt,
          completion: written.completion,
        });
      }),
    );
  });

  it('does not repeat the price of the intent, and tells it from none', () => {
    const priced = intent({ priceVersionId: 'p'.repeat(64) });
    const price = (priceVersionId: string | null) => {
      const json = encodeSettlement(settlement(priced, { priceVersionId }));
      const apply = new OpenCompletions();
      apply.apply({ kind: 'INTENT', intent: priced }, { segment: 1, offset: 1 });
      const entry = decodeEntry(json);
      if (entry.kind !== 'SETTLEMENT') throw new Error(json);
      return { json, priceVersionId: apply.apply(entry, { segment: 1, offset: 2 }).attempt?.outcome.priceVersionId };
    };
    const same = price(priced.priceVersionId);
    expect(same.priceVersionId).toBe(priced.priceVersionId);
    expect(same.json).not.toContain('ppp');
    expect(price('other').priceVersionId).toBe('other');
    expect(price(null).priceVersionId).toBeNull();
  });

  it('gives a price back with the same id', () => {
    const price = priceVersion({ input: 3, output: 15, cacheWrite1h: 6, tiers: [{ above: 9, input: 6, output: 22 }] });
    const entry = decodeEntry(encodePrice(price));
    expect(entry).toEqual({ kind: 'PRICE', price });
    expect(entry.kind === 'PRICE' && priceVersion(entry.price.components).id).toBe(price.id);
  });

  it('reads settlements from before they told their price and the source of their cost', () => {
    const old = (cost: string | null, inputTokens: number | null) => {
      const usage = [inputTokens, inputTokens, null, null, null];
      const attempt = ['FAILED', 1, 500, null, null, null, null, usage, false, cost, 5, null];
      const entry = decodeEntry(JSON.stringify(['s', intent().origin.completionId, 1, attempt, null]));
      return entry.kind === 'SETTLEMENT' && entry.attempt;
    };
    expect(old('30', 10)).toMatchObject({ cost: 30n, costSource: 'PRICED', usage: { cacheWrite1hTokens: null } });
    expect(old('30', 10)).not.toHaveProperty('priceVersionId');
    expect(old('0', null)).toMatchObject({ cost: 0n, costSource: 'FREE' });
    expect(old(null, 10)).toMatchObject({ cost: null, costSource: null });
  });

  it('keeps out what Postgres refuses: NUL, halves of surrogate pairs, numbers beyond their columns', () => {
    const written = intent({ model: 'a\0b' }, { tags: { 'x\0': '\ud800y' } });
    const entry = decodeEntry(encodeIntent(written));
    expect(entry).toMatchObject({ intent: { model: 'a\ufffdb', origin: { tags: { 'x\ufffd': '\ufffdy' } } } });
    const usage = { ...outcome().usage, inputTokens: 3e9, outputTokens: Number.NaN };
    const huge = settlement(intent(), { usage, cost: picodollars(2n ** 70n), latencyMs: -5, finishedAt: 1e18 });
    expect(decodeEntry(encodeSettlement(huge))).toMatchObject({
      attempt: {
        usage: { inputTokens: 2 ** 31 - 1, outputTokens: null },
        cost: 2n ** 63n - 1n,
        latencyMs: 0,
        finishedAt: Date.parse('9999-12-31T23:59:59.999Z'),
      },
    });
  });

  it('cuts names to 200 characters and messages to 1,000, also through the middle of an emoji', () => {
    const long = `${'a'.repeat(199)}😀${'b'.repeat(2000)}`;
    const entry = decodeEntry(encodeSettlement(settlement(intent(), { answeredModel: long, errorMessage: long })));
    expect(entry).toMatchObject({
      attempt: { answeredModel: `${'a'.repeat(199)}\ufffd`, errorMessage: long.slice(0, 1000) },
    });
  });

  it('refuses an intent whose id is not a UUID, before anything is dispatched', () => {
    expect(() => encodeIntent(intent({ providerId: 'openai' }))).toThrow('"openai" is not a UUID');
    expect(() => encodeIntent(intent({}, { userId: '1' }))).toThrow(TypeError);
  });
});
