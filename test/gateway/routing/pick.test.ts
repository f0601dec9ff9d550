import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decision } from '../../../src/gateway/routing/decision.ts';
import { explain, replay } from '../../../src/gateway/routing/explain.ts';
import type { CandidateFacts, HealthFacts, TargetFacts } from '../../../src/gateway/routing/facts.ts';
import { fieldOf, type PickInputs, pick } from '../../../src/gateway/routing/pick.ts';
import { reassign } from '../../../src/gateway/routing/slots.ts';
import type { RouteMode, RouteStrategy, ScoreWeights } from '../../../src/gateway/snapshot/snapshot.ts';
import { candidateFacts, healthFacts, inputs, NOW } from './pick-kit.ts';

/** A decision as it is recorded. */
function decide(facts: CandidateFacts, health: HealthFacts, given: PickInputs): Decision {
  const { order } = pick(fieldOf(facts, health), given);
  return { candidates: 'c', health: 'h', ...given, plan: order.slice(0, facts.attempts) };
}

const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value));

describe('a plan', () => {
  test('holds each provider and model once, nothing excluded, and those whose circuit is open last', () => {
    fc.assert(
      fc.property(candidateFacts, healthFacts, inputs, (facts, health, given) => {
        const field = fieldOf(facts, health);
        const { order } = pick(field, given);
        const names = order.map((place) => {
          const { target, model } = field.candidates[place] ?? expect.fail('a place that there is not');
          expect(model.excluded).toBeNull();
          return `${target.provider}/${model.name}`;
        });
        expect(new Set(names).size).toBe(names.length);
        const open = order.map((place) => Math.max(NOW, field.health.open?.[place] ?? 0));
        expect(open).toEqual([...open].sort((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });

  test('has those whose keys rest behind all others of their section, the one that rests shortest first', () => {
    fc.assert(
      fc.property(candidateFacts, healthFacts, inputs, ({ sections, ...facts }, health, given) => {
        const section = sections[0] ?? expect.fail('no section');
        const targets = section.targets.map((one) => ({ ...one, tries: 'BEST' as const }));
        const eachOnce = { ...facts, sections: [{ ...section, targets }] };
        const field = fieldOf(eachOnce, health);
        const closed = pick(field, given).order.filter((place) => (field.health.open?.[place] ?? 0) <= NOW);
        const rests = closed.map((place) =>
          Math.max(NOW, field.health.resting?.[field.candidates[place]?.targetPlace ?? -1] ?? 0),
        );
        expect(rests).toEqual([...rests].sort((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });

  test('leaves nobody out who can be called, until it is full', () => {
    fc.assert(
      fc.property(candidateFacts, healthFacts, inputs, (facts, health, given) => {
        const field = fieldOf(facts, health);
        const { order } = pick(field, given);
        const callable = field.candidates.filter(
          ({ place, model, target }) =>
            model.excluded === null && (field.health.open?.[place] ?? 0) <= NOW && target.tries !== 'BEST',
        );
        const twins = new Set(callable.map(({ twin }) => twin));
        expect(order.length).toBeGreaterThanOrEqual(Math.min(facts.attempts, twins.size));
      }),
      { numRuns: 500 },
    );
  });
});

test('100,000 recorded decisions are reproduced exactly from what is on record of them', () => {
  const worlds = fc.sample(fc.tuple(candidateFacts, healthFacts), { numRuns: 1_000, seed: 5 });
  const given = fc.sample(inputs, { numRuns: 100_000, seed: 6 });
  let differing = 0;
  for (const [index, one] of given.entries()) {
    const [facts, health] = worlds[index % worlds.length] ?? expect.fail('no world');
    const decision = stored(decide(facts, health, one));
    if (!replay(decision, stored(facts), stored(health)).isReproduced) differing++;
  }
  expect(differing).toBe(0);
}, 120_000);

test('a decision that was not made like that is told apart', () => {
  const facts = factsOf('ROUND_ROBIN', [{}, {}, {}]);
  const decision = decide(facts, {}, { at: NOW, turn: 1, slot: null, modelTurns: null });
  expect(replay(decision, facts, {}).isReproduced).toBe(true);
  expect(replay({ ...decision, turn: 2 }, facts, {}).isReproduced).toBe(false);
  expect(replay(decision, facts, { open: { 1: NOW + 1 } }).isReproduced).toBe(false);
});

/** A route's targets at providers of their own, with one model each. */
function factsOf(
  strategy: RouteStrategy,
  targets: (Partial<Omit<TargetFacts, 'models'>> & Partial<TargetFacts['models'][number]>)[],
  over: { mode?: RouteMode; weights?: ScoreWeights; attempts?: number } = {},
): CandidateFacts {
  const { mode = 'AUTO', weights = null, attempts = 4 } = over;
  return {
    route: { id: 'route', version: 1 },
    attempts,
    sections: [
      {
        ...{ fallback: null, mode, strategy, weights },
        targets: targets.map(
          ({ name = 'm', price = null, quality = null, contextTokens = null, excluded = null, ...rest }, index) => ({
            ...{ id: `t${index}`, provider: `p${index}`, priority: 100, weight: 1, strategy: 'FAILOVER' as const },
            ...{ region: 0, tries: 'EACH' as const, slots: [] },
            ...rest,
            models: [{ name, price, quality, contextTokens, excluded }],
          }),
        ),
      },
    ],
  };
}

const order = (facts: CandidateFacts, health: HealthFacts = {}, over: Partial<PickInputs> = {}) =>
  pick(fieldOf(facts, health), { at: NOW, turn: 0, slot: null, modelTurns: null, ...over }).order;

describe('strategies', () => {
  test('COST: the cheapest first, what has no price last', () => {
    expect(order(factsOf('COST', [{ price: 3 }, { price: null }, { price: 0 }, { price: 1 }]))).toEqual([2, 3, 0, 1]);
  });

  test('LATENCY: the fastest first; one that is not known gets every tenth request, and is not starved', () => {
    const facts = factsOf('LATENCY', [{}, {}, {}]);
    const health = { latency: { 0: 900, 2: 300 } };
    expect(order(facts, health)[0]).toBe(2);
    const firsts = Array.from({ length: 100 }, (_, turn) => order(facts, health, { turn })[0]);
    expect(firsts.filter((place) => place === 1)).toHaveLength(10);
    expect(firsts.filter((place) => place === 2)).toHaveLength(90);
  });

  test('LATENCY: while nothing is known each gets its turn', () => {
    const facts = factsOf('LATENCY', [{}, {}, {}]);
    expect(Array.from({ length: 6 }, (_, turn) => order(facts, {}, { turn })[0])).toEqual([0, 1, 2, 0, 1, 2]);
  });

  test('BALANCED: 40% cost, 40% latency, 20% quality, each as a ratio to the best', () => {
    const facts = factsOf('BALANCED', [
      { price: 1, quality: 50 },
      { price: 2, quality: 100 },
    ]);
    const field = fieldOf(facts, { latency: { 0: 1_000, 1: 250 } });
    const { scores } = pick(field, { at: NOW, turn: 0, slot: null, modelTurns: null });
    expect(scores.get(0)).toBeCloseTo(40 + 10 + 10, 6);
    expect(scores.get(1)).toBeCloseTo((40 * 1.01) / 2.01 + 40 + 20, 6);
  });

  test('CUSTOM goes by its own weights', () => {
    const targets = [
      { price: 1, quality: 10 },
      { price: 9, quality: 90 },
    ];
    expect(order(factsOf('CUSTOM', targets, { weights: { cost: 100, latency: 0, quality: 0 } }))).toEqual([0, 1]);
    expect(order(factsOf('CUSTOM', targets, { weights: { cost: 0, latency: 0, quality: 100 } }))).toEqual([1, 0]);
  });

  test('an unknown quality counts as the median', () => {
    const quality = { weights: { cost: 0, latency: 0, quality: 100 } };
    const targets = [{ quality: 20 }, { quality: null }, { quality: 60 }, { quality: 90 }];
    expect(order(factsOf('CUSTOM', targets, quality))).toEqual([3, 1, 2, 0]);
  });

  test('MULTI: all of the best group before the next one, whatever it costs', () => {
    const targets = [
      { priority: 2, price: 1 },
      { priority: 1, price: 9 },
      { priority: 1, price: 8 },
      { priority: 2, price: 2 },
    ];
    expect(order(factsOf('COST', targets, { mode: 'MULTI' }))).toEqual([2, 1, 0, 3]);
  });

  test('preferred regions come before the strategy', () => {
    const targets = [
      { region: 2, price: 1 },
      { region: 1, price: 9 },
      { region: 0, price: 5 },
    ];
    expect(order(factsOf('COST', targets))).toEqual([2, 1, 0]);
  });

  test('a target picks among its models by its own strategy', () => {
    const [section] = factsOf('FAILOVER', [{}]).sections;
    const models = [3, 1, 2].map((price, index) => ({
      ...{ name: `m${index}`, price, quality: null, contextTokens: null, excluded: null },
    }));
    const target = section?.targets[0] ?? expect.fail('no target');
    const among = (strategy: TargetFacts['strategy'], turn = 0) =>
      order(
        {
          ...{ route: null, attempts: 4 },
          sections: [{ ...(section ?? expect.fail()), targets: [{ ...target, strategy, models }] }],
        },
        {},
        { modelTurns: [turn] },
      );
    expect(among('COST')).toEqual([1, 2, 0]);
    expect(among('ROUND_ROBIN', 4)).toEqual([1, 2, 0]);
    expect(among('FAILOVER')).toEqual([0, 1, 2]);
  });
});

describe('sticky keys', () => {
  const split = (weights: number[]) => {
    const slots = reassign(
      weights.map(() => []),
      weights,
    );
    return factsOf(
      'WEIGHTED',
      weights.map((weight, index) => ({ weight, slots: slots[index] ?? [] })),
    );
  };

  test('always land in the same place, and each target has its share of the slots', () => {
    const facts = split([70, 20, 10]);
    const firsts = Array.from({ length: 10_000 }, (_, slot) => order(facts, {}, { slot, turn: null })[0]);
    expect([0, 1, 2].map((place) => firsts.filter((one) => one === place).length)).toEqual([7_000, 2_000, 1_000]);
    expect(order(facts, {}, { slot: 4_321, turn: 99 })[0]).toBe(firsts[4_321]);
  });

  test('of a target that cannot be called are shared out among the others, each always alike, and come back', () => {
    const facts = split([50, 30, 20]);
    const down = { open: { 0: NOW + 1 } };
    const owners = (health: HealthFacts) =>
      Array.from({ length: 10_000 }, (_, slot) => order(facts, health, { slot, turn: null })[0]);
    const before = owners({});
    const during = owners(down);
    expect(owners(down)).toEqual(during);
    for (const [slot, owner] of before.entries()) if (owner !== 0) expect(during[slot]).toBe(owner);
    const moved = during.filter((owner, slot) => before[slot] === 0 && owner === 1).length;
    expect(moved / 5_000).toBeCloseTo(0.6, 1);
    expect(owners({ open: { 0: NOW } })).toEqual(before);
  });
});

test('every candidate is told why it was, or was not, picked', () => {
  const facts = factsOf(
    'COST',
    [
      { price: 1 },
      { price: 2 },
      { price: 3 },
      { price: 4 },
      { excluded: 'PROVIDER_UNUSABLE' },
      { price: 0.5 },
      { price: 0.5, provider: 'p0' },
    ],
    { attempts: 2 },
  );
  const health = { open: { 5: NOW + 1 }, resting: { 3: NOW + 1_000 } };
  const given = { at: NOW, turn: null, slot: null, modelTurns: null };
  const field = fieldOf(facts, health);
  const { candidates } = explain(field, given, pick(field, given), decide(facts, health, given));
  expect(candidates.map(({ position }) => position)).toEqual([null, 2, null, null, null, null, 1]);
  expect(candidates.map(({ reason }) => reason)).toEqual([
    'The same model of the same provider is in the plan already.',
    'It stands in: number 2 of the plan.',
    'The plan ends after 2 calls.',
    'The plan ends after 2 calls.',
    'Its provider is gone, switched off, or lacks a key.',
    'Its circuit is open: it failed again and again.',
    'It is the cheapest (score 100.0).',
  ]);
});
