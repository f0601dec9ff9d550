import fc from 'fast-check';
import type {
  CandidateFacts,
  HealthFacts,
  ModelFacts,
  Section,
  TargetFacts,
} from '../../../src/gateway/routing/facts.ts';
import { reassign } from '../../../src/gateway/routing/slots.ts';

export const NOW = 1_800_000_000_000;

const model = (name: string): fc.Arbitrary<ModelFacts> =>
  fc.record({
    name: fc.constant(name),
    price: fc.option(fc.double({ min: 0, max: 60, noNaN: true })),
    quality: fc.option(fc.nat(100)),
    contextTokens: fc.option(fc.nat(1_000_000)),
    excluded: fc.option(fc.constantFrom('MODEL_UNUSABLE' as const, 'OTHER_POWER_LEVEL' as const), { freq: 6 }),
  });

const target = (index: number): fc.Arbitrary<TargetFacts> =>
  fc.record({
    id: fc.constant(`target-${index}`),
    provider: fc.nat(6).map((provider) => `provider-${provider}`),
    priority: fc.nat(3),
    weight: fc.integer({ min: 1, max: 100 }),
    strategy: fc.constantFrom('FAILOVER', 'ROUND_ROBIN', 'COST', 'LATENCY', 'BALANCED'),
    region: fc.nat(2),
    tries: fc.constantFrom('EACH', 'BEST_FIRST', 'BEST'),
    slots: fc.constant([]),
    models: fc
      .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 4 })
      .chain((names) => fc.tuple(...names.map(model))),
  });

const section = (isFallback: boolean): fc.Arbitrary<Section> =>
  fc.integer({ min: 1, max: 6 }).chain((count) =>
    fc
      .record({
        fallback: fc.constant(isFallback ? 'spare' : null),
        mode: fc.constantFrom('AUTO', 'MULTI', 'SPECIFIC'),
        strategy: fc.constantFrom('FAILOVER', 'ROUND_ROBIN', 'WEIGHTED', 'COST', 'LATENCY', 'BALANCED', 'CUSTOM'),
        weights: fc.constant({ cost: 50, latency: 30, quality: 20 }),
        targets: fc.tuple(...Array.from({ length: count }, (_, index) => target(index))),
      })
      .map((made): Section => withSlots(made as Section)),
  );

/** With the slots that its weights give it. */
function withSlots(made: Section): Section {
  const slots = reassign(
    made.targets.map(() => []),
    made.targets.map(({ weight }) => weight),
  );
  return { ...made, targets: made.targets.map((one, index) => ({ ...one, slots: slots[index] ?? [] })) };
}

export const candidateFacts: fc.Arbitrary<CandidateFacts> = fc.record({
  route: fc.constant({ id: 'route', version: 1 }),
  attempts: fc.integer({ min: 1, max: 11 }),
  sections: fc.tuple(section(false), fc.array(section(true), { maxLength: 1 })).map(([own, spare]) => [own, ...spare]),
});

const places = <T>(value: fc.Arbitrary<T>) =>
  fc.dictionary(
    fc.nat(40).map((place) => `${place}`),
    value,
    { maxKeys: 12 },
  ) as fc.Arbitrary<Record<number, T>>;
const moment = fc.integer({ min: NOW - 60_000, max: NOW + 60_000 });

/** Of candidates that there are, and of some that there are not. */
export const healthFacts: fc.Arbitrary<HealthFacts> = fc.record(
  { resting: places(moment), open: places(moment), latency: places(fc.integer({ min: 1, max: 100_000 })) },
  { requiredKeys: [] },
);

export const inputs = fc.record({
  at: fc.constant(NOW),
  turn: fc.option(fc.nat(1_000_000)),
  slot: fc.option(fc.nat(9_999)),
  modelTurns: fc.option(fc.array(fc.nat(1_000), { minLength: 12, maxLength: 12 })),
});
