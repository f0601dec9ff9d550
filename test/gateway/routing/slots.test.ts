import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ownerOf, reassign, SLOTS, type SlotRanges, slotOf } from '../../../src/gateway/routing/slots.ts';

const NOBODY = -1;

/** Who owns each slot; a slot with two owners fails. */
function ownersOf(targets: readonly SlotRanges[]): number[] {
  const owners = new Array<number>(SLOTS).fill(NOBODY);
  for (const [target, ranges] of targets.entries()) {
    for (let index = 0; index < ranges.length; index += 2) {
      const [from = 0, to = 0] = ranges.slice(index, index + 2);
      for (let slot = from; slot < to; slot++) {
        if (owners[slot] !== NOBODY) throw new Error(`the slot ${slot} has two owners`);
        owners[slot] = target;
      }
    }
  }
  return owners;
}

const countsOf = (owners: readonly number[], targets: number) => {
  const counts = new Array<number>(targets).fill(0);
  for (const owner of owners) if (owner !== NOBODY) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
};

const rangesIn = (targets: readonly SlotRanges[]) => targets.reduce((sum, ranges) => sum + ranges.length / 2, 0);

const hasWeight = (weights: readonly number[]) => weights.some((weight) => weight > 0);
const fresh = (weights: readonly number[]) =>
  reassign(
    weights.map(() => []),
    weights,
  );
const weight = fc.oneof(fc.nat(100), fc.nat(1_000_000));
const weightsOf = (least: number, most: number) =>
  fc.array(weight, { minLength: least, maxLength: most }).filter(hasWeight);
/** Several weightings of the same targets, one after the other. */
const history = fc
  .integer({ min: 1, max: 50 })
  .chain((targets) => fc.array(weightsOf(targets, targets), { minLength: 2, maxLength: 6 }));

describe('reassign', () => {
  test('divides all slots exactly to within one, in ranges that are sorted and merged, after any history', () => {
    fc.assert(
      fc.property(history, (weightings) => {
        let ranges = fresh(weightings[0] ?? []);
        for (const weights of weightings) {
          ranges = reassign(ranges, weights);
          const total = weights.reduce((sum, one) => sum + one, 0);
          const counts = countsOf(ownersOf(ranges), weights.length);
          expect(counts.reduce((sum, count) => sum + count, 0)).toBe(SLOTS);
          for (const [target, count] of counts.entries()) {
            const exact = ((weights[target] ?? 0) * SLOTS) / total;
            expect(Math.abs(count - exact)).toBeLessThan(1);
            if (weights[target] === 0) expect(count).toBe(0);
          }
          for (const flat of ranges)
            for (const [index, bound] of flat.entries()) expect(bound).toBeGreaterThan(flat[index - 1] ?? -1);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('moves exactly what targets gain: who grows loses none, who shrinks gets none', () => {
    fc.assert(
      fc.property(history, (weightings) => {
        let ranges = fresh(weightings[0] ?? []);
        for (const weights of weightings.slice(1)) {
          const before = ownersOf(ranges);
          ranges = reassign(ranges, weights);
          const after = ownersOf(ranges);
          const moved = after.filter((owner, slot) => owner !== before[slot]).length;
          const old = countsOf(before, weights.length);
          const gains = countsOf(after, weights.length).map((count, target) => count - (old[target] ?? 0));
          expect(moved).toBe(gains.reduce((sum, gain) => sum + Math.max(0, gain), 0));
          const isWrong = (owner: number, was = NOBODY) =>
            owner !== was && ((gains[owner] ?? 0) <= 0 || (gains[was] ?? 0) >= 0);
          expect(after.findIndex((owner, slot) => isWrong(owner, before[slot]))).toBe(-1);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('moves nothing while the split is the same, in whatever unit and order it is written', () => {
    fc.assert(
      fc.property(
        weightsOf(1, 20),
        fc.integer({ min: 2, max: 50 }),
        fc.infiniteStream(fc.nat()),
        (weights, unit, keys) => {
          const ranges = fresh(weights);
          expect(reassign(ranges, weights)).toEqual(ranges);
          const scaled = weights.map((one) => one * unit);
          expect(reassign(ranges, scaled)).toEqual(ranges);
          const order = weights.map((_, target) => ({ target, key: keys.next().value as number }));
          order.sort((a, b) => a.key - b.key);
          const inOrder = <T>(list: readonly T[]) => order.map(({ target }) => list[target] as T);
          expect(reassign(inOrder(ranges), inOrder(weights))).toEqual(inOrder(ranges));
        },
      ),
    );
  });

  test('a target that goes leaves its slots to the others, and a new one takes from all what it lacks', () => {
    const three = fresh([50, 30, 20]);
    const [a = [], b = []] = three;
    expect(ownersOf(reassign([a, b], [50, 30])).slice(0, 8_000)).toEqual(ownersOf(three).slice(0, 8_000));
    const four = reassign([...three, []], [40, 24, 16, 20]);
    expect(countsOf(ownersOf(four), 4)).toEqual([4_000, 2_400, 1_600, 2_000]);
    const before = ownersOf(three);
    expect(ownersOf(four).every((owner, slot) => owner === 3 || owner === before[slot])).toBe(true);
  });

  test('without any weight nobody owns anything, and the next weights begin anew', () => {
    expect(fresh([0, 0])).toEqual([[], []]);
    expect(reassign([[0, SLOTS], []], [0, 0])).toEqual([[], []]);
    expect(reassign([], [])).toEqual([]);
    expect(fresh([1])).toEqual([[0, SLOTS]]);
  });

  test.each([
    ['new splits', 2, 2, 1],
    ['new splits', 10, 40, 2],
    ['new splits', 50, 200, 3],
    ['shifts between two targets', 10, 100, 4],
    ['shifts between two targets', 50, 2_500, 5],
    ['targets that are exchanged', 10, 100, 6],
  ])('after 1,000 %s among %i targets there are at most %i ranges', (change, count, most, seed) => {
    const random = randomFrom(seed);
    const any = () => Math.floor(random() * count);
    let weights = Array.from({ length: count }, () => 10 + Math.floor(random() * 90));
    let ranges = fresh(weights);
    for (let round = 0; round < 1_000; round++) {
      if (change === 'new splits') weights = weights.map(() => 1 + Math.floor(random() * 1_000_000));
      if (change === 'shifts between two targets') {
        const [from, to] = [any(), any()];
        const amount = Math.floor(random() * ((weights[from] ?? 0) + 1));
        weights = weights.map((one, target) => one + (target === to ? amount : 0) - (target === from ? amount : 0));
      }
      if (change === 'targets that are exchanged') {
        const target = any();
        ranges[target] = [];
        weights[target] = 1 + Math.floor(random() * 100);
      }
      ranges = reassign(ranges, weights);
      expect(rangesIn(ranges)).toBeLessThanOrEqual(most);
    }
  });
});

describe('ownerOf', () => {
  test('finds the owner of every slot', () => {
    fc.assert(
      fc.property(history, (weightings) => {
        const ranges = weightings.reduce(reassign, fresh(weightings[0] ?? []));
        const owners = ownersOf(ranges);
        const targets = ranges.map((slots) => ({ slots }));
        for (let slot = 0; slot < SLOTS; slot += 7) expect(ownerOf(slot, targets)).toBe(owners[slot]);
      }),
      { numRuns: 20 },
    );
  });

  test('nobody owns a slot among targets without any', () => {
    expect(ownerOf(5, [{ slots: [] }, { slots: [] }])).toBe(-1);
    expect(ownerOf(0, [])).toBe(-1);
    expect(ownerOf(10, [{ slots: [0, 10, 20, 30] }])).toBe(-1);
  });
});

describe('slotOf', () => {
  test('is what it is everywhere and for ever: reckoned by another implementation', () => {
    expect(['', 'a', 'session-1', 'session-2', 'Größe', '🚦'].map(slotOf)).toEqual([
      6689, 1035, 1395, 6147, 9317, 8300,
    ]);
  });

  test.each([
    ['numbers', (index: number) => `${index}`],
    [
      'ids that differ at the end',
      (index: number) => `0198c000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`,
    ],
    [
      'ids that differ at the beginning',
      (index: number) => `${index.toString(16).padStart(8, '0')}-0000-7000-8000-0198c0000000`,
    ],
    ['addresses', (index: number) => `user-${index}@example.com`],
  ])('spreads %s evenly', (_what, keyOf) => {
    const keys = 300_000;
    const counts = new Array<number>(SLOTS).fill(0);
    for (let index = 0; index < keys; index++) {
      const slot = slotOf(keyOf(index));
      counts[slot] = (counts[slot] ?? 0) + 1;
    }
    expect(counts).toHaveLength(SLOTS);
    const expected = keys / SLOTS;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // Of 9,999 degrees of freedom the standard deviation is 141: five of them to either side.
    expect(Math.abs(chiSquare - (SLOTS - 1))).toBeLessThan(5 * Math.sqrt(2 * (SLOTS - 1)));
  });

  test('a split is exact in expectation: 10,000 sessions of a 70/30 split', () => {
    const targets = fresh([70, 30]).map((slots) => ({ slots }));
    let first = 0;
    for (let session = 0; session < 10_000; session++)
      if (ownerOf(slotOf(`route:s-${session}`), targets) === 0) first++;
    // The standard deviation is 46.
    expect(Math.abs(first - 7_000)).toBeLessThan(4 * 46);
  });

  test('one key in two routes falls into slots that have nothing to do with each other', () => {
    let both = 0;
    for (let session = 0; session < 10_000; session++)
      if (slotOf(`a:s-${session}`) < SLOTS / 2 && slotOf(`b:s-${session}`) < SLOTS / 2) both++;
    expect(Math.abs(both - 2_500)).toBeLessThan(4 * 43);
  });
});

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
