import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEntry, encodeIntent, encodeSettlement } from '../../../src/gateway/ledger/codec.ts';
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
    fc.assert(
      fc.property(text, money, count, fc.array(text, { maxLength: 3 }), (message, cost, tokens, warnings) => {
        const usage = { ...outcome().usage, inputTokens: tokens, outputTokens: null };
        const written = settlement(intent(), { errorMessage: message, cost, usage }, { warnings });
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
