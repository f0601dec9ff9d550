import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEntry } from '../../../src/gateway/ledger/decode.ts';
import {
  encodeFact,
  encodeIntent,
  encodePrice,
  encodeSettlement,
  encodeUnattempted,
} from '../../../src/gateway/ledger/encode.ts';
import { OpenCompletions } from '../../../src/gateway/ledger/open-completions.ts';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { cached, DECISION, HOLD, intent, outcome, settlement } from './kit.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((value) => !value.includes('\0'));
const money = fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(picodollars));
const count = fc.option(fc.integer({ min: 0, max: 2 ** 31 - 1 }));

const optionalNumber = fc.option(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const decision = fc.option(
  fc.record({
    ...{ candidates: text, health: text, at: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }) },
    ...{ turn: optionalNumber, slot: optionalNumber, modelTurns: fc.option(fc.array(fc.nat(), { maxLength: 5 })) },
    plan: fc.array(fc.nat(), { maxLength: 60 }),
  }),
);
const target = fc.option(fc.uuid({ version: 7 }));
const hold = fc.option(
  fc.record({
    holderId: fc.uuid({ version: 7 }),
    allowanceIds: fc.array(fc.uuid({ version: 7 }), { maxLength: 20 }),
    amount: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(picodollars),
  }),
);

describe('the codec of journal records', () => {
  it('gives an intent back as it was', () => {
    fc.assert(
      fc.property(
        ...([text, fc.dictionary(text, text, { maxKeys: 10 }), money, decision, target, hold] as const),
        (name, tags, cost, made, targetId, held) => {
          const written = intent(
            { model: name, estimate: { inputTokens: 5, cost }, maxLiability: cost, targetId, hold: held },
            { requestedModel: name, tags, configVersion: 2n ** 60n, decision: made },
          );
          expect(decodeEntry(encodeIntent(written))).toEqual({ kind: 'INTENT', intent: written });
        },
      ),
    );
  });

  it('gives a settlement back as it was', () => {
    const source = fc.constantFrom('PRICED' as const, 'REPORTED' as const, 'FREE' as const, null);
    fc.assert(
      fc.property(text, money, count, source, target, (message, cost, tokens, costSource, targetId) => {
        const usage = { ...outcome().usage, inputTokens: tokens, outputTokens: null, cacheWrite1hTokens: tokens };
        const changes = { errorMessage: message, cost, costSource, usage, priceVersionId: message };
        const written = settlement(intent(), changes, { warnings: [message], targetId });
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

  it('gives a completion without attempts back as it was', () => {
    fc.assert(
      fc.property(text, decision, target, fc.boolean(), (name, made, targetId, isCached) => {
        const origin = { routeSlug: name, tags: { [name]: name }, decision: made, operation: 'EMBEDDINGS' as const };
        const written = cached(origin, { model: name, targetId, isCached });
        expect(decodeEntry(encodeUnattempted(written.origin, written.outcome))).toEqual({
          kind: 'UNATTEMPTED',
          origin: written.origin,
          completion: written.outcome,
        });
      }),
    );
    expect(() => encodeUnattempted(cached().origin, { ...cached().outcome, providerId: 'openai' })).toThrow(TypeError);
  });

  it('gives a fact back as it was, but for what Postgres refuses in its names and texts', () => {
    const content = fc.jsonValue().filter((value) => value !== null);
    fc.assert(
      fc.property(content, (value) => {
        // -0 is 0 in JSON.
        const fact = { id: 'f'.repeat(64), content: JSON.parse(JSON.stringify(value)) };
        expect(decodeEntry(encodeFact(fact) ?? '')).toEqual({ kind: 'FACT', fact });
      }),
    );
    const odd = { id: 'f', content: { 'a\0': ['\ud800', '\\u0000', '\\\0', '😀\ufffe'] } };
    const clean = { 'a\ufffd': ['\ufffd', '\\u0000', '\\\ufffd', '😀\ufffe'] };
    expect(decodeEntry(encodeFact(odd) ?? '')).toEqual({ kind: 'FACT', fact: { id: 'f', content: clean } });
  });

  it('refuses a fact of more than 256 KiB, or of nothing', () => {
    const fact = (content: unknown) => encodeFact({ id: 'f', content });
    // Each of these characters takes three bytes.
    expect(fact('漢'.repeat(87_300))).not.toBeNull();
    expect(fact('漢'.repeat(87_500))).toBeNull();
    expect([fact(null), fact(undefined)]).toEqual([null, null]);
  });

  it('leaves out a decision that plans more than a thousand attempts, and a target that is no id', () => {
    const plan = Array.from({ length: 1_001 }, (_, index) => index);
    const planned = (length: number) => {
      const decided = intent({}, { decision: { ...DECISION, plan: plan.slice(0, length) } });
      const entry = decodeEntry(encodeIntent(decided));
      return entry.kind === 'INTENT' && entry.intent.origin.decision?.plan.length;
    };
    expect(planned(1_000)).toBe(1_000);
    expect(planned(1_001)).toBeUndefined();
    expect(() => encodeIntent(intent({ targetId: 'first' }))).toThrow(TypeError);
    const ended = decodeEntry(encodeSettlement(settlement(intent(), {}, { targetId: 'first' })));
    expect(ended).toMatchObject({ completion: { targetId: null } });
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

  it('reads intents and ends from before there were decisions, variants, cached answers and holds', () => {
    const written = intent({ targetId: intent().attemptId, hold: HOLD }, { decision: DECISION });
    const old = (json: string, members: number) => JSON.stringify(JSON.parse(json).slice(0, -members));
    const unheld = { ...written, hold: null };
    expect(decodeEntry(old(encodeIntent(written), 1))).toEqual({ kind: 'INTENT', intent: unheld });
    const plain = { ...unheld, targetId: null, origin: { ...written.origin, decision: null } };
    expect(decodeEntry(old(encodeIntent(written), 3))).toEqual({ kind: 'INTENT', intent: plain });
    const [kind, id, number, attempt, completion] = JSON.parse(
      encodeSettlement(settlement(written, {}, { isCached: true })),
    );
    const entry = decodeEntry(JSON.stringify([kind, id, number, attempt, completion.slice(0, -2)]));
    expect(entry).toMatchObject({ completion: { targetId: null, isCached: false, warnings: [] } });
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
    expect(() => encodeIntent(intent({ hold: { ...HOLD, holderId: 'me' } }))).toThrow(TypeError);
    expect(() => encodeIntent(intent({ hold: { ...HOLD, allowanceIds: ['mine'] } }))).toThrow(TypeError);
  });
});
