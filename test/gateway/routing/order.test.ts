import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byWeight, rotated } from '../../../src/gateway/routing/order.ts';
import { Turns } from '../../../src/gateway/routing/turns.ts';

/** Candidates with these weights, each of which knows its place. */
const weighing = (weights: readonly number[]) => weights.map((weight, index) => ({ weight, index }));

/** How often each of them is picked in `length` turns from `start` on. */
function countPicks(weights: readonly number[], start: number, length: number): number[] {
  const counts = weights.map(() => 0);
  const candidates = weighing(weights);
  for (let turn = start; turn < start + length; turn++) {
    const index = byWeight(candidates, turn)[0]?.index ?? -1;
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

/** Whole percentages, some of them 0, whose sum is 100: the distances between cuts of a line of 100. */
const percentages = fc
  .array(fc.nat(100), { maxLength: 12 })
  .map((cuts) => [0, ...cuts.sort((a, b) => a - b), 100])
  .map((cuts) => cuts.slice(1).map((cut, index) => cut - (cuts[index] ?? 0)));
const weights = fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 50 });

describe('WEIGHTED', () => {
  test('gives each its percentage in every window of 100 picks', () => {
    fc.assert(
      fc.property(percentages, fc.nat(1_000_000_000), (split, start) => {
        expect(countPicks(split, start, 100)).toEqual(split);
      }),
      { numRuns: 300 },
    );
  });

  test('gives each its weight in every window of as many picks as the reduced weights add up to', () => {
    const small = fc.array(fc.nat(40), { minLength: 1, maxLength: 8 }).filter((all) => all.some((one) => one > 0));
    fc.assert(
      fc.property(small, fc.integer({ min: 1, max: 9_999 }), fc.nat(1_000_000), (reduced, unit, start) => {
        const scaled = reduced.map((one) => one * unit);
        const period = reduced.reduce((sum, one) => sum + one, 0);
        expect(countPicks(scaled, start, period)).toEqual(reduced);
      }),
    );
  });

  test('interleaves: at no time is anybody more than a few picks away from the exact share', () => {
    fc.assert(
      fc.property(percentages, (split) => {
        const counts = split.map(() => 0);
        let farthest = 0;
        for (let turn = 0; turn < 100; turn++) {
          const index = byWeight(weighing(split), turn)[0]?.index ?? -1;
          counts[index] = (counts[index] ?? 0) + 1;
          for (const [place, percentage] of split.entries())
            farthest = Math.max(farthest, Math.abs((counts[place] ?? 0) - ((turn + 1) * percentage) / 100));
        }
        expect(farthest).toBeLessThan(4);
      }),
      { numRuns: 300 },
    );
  });

  test('puts 70 and 30 side by side like a person would', () => {
    const picks = Array.from({ length: 10 }, (_, turn) => byWeight(weighing([70, 30]), turn)[0]?.index);
    expect(picks.join('')).toBe('0100100100');
  });

  test('plans each once, the heaviest next, and never one of weight 0', () => {
    fc.assert(
      fc.property(weights, fc.nat(), (given, turn) => {
        const plan = byWeight(weighing(given), turn);
        const expected = given.filter((weight) => weight > 0).sort((a, b) => b - a);
        expect(new Set(plan).size).toBe(plan.length);
        expect(plan.map(({ weight }) => weight).sort((a, b) => b - a)).toEqual(expected);
        const others = plan.slice(1).map(({ weight }) => weight);
        expect(others).toEqual([...others].sort((a, b) => b - a));
      }),
    );
  });
});

describe('ROUND_ROBIN', () => {
  test('begins with each in turn, and goes on from there', () => {
    fc.assert(
      fc.property(weights, fc.nat(), (given, turn) => {
        const plan = rotated(weighing(given), turn).map(({ index }) => index);
        expect(plan).toEqual(given.map((_, index) => (index + turn) % given.length));
      }),
    );
  });
});

test('the same turn picks the same: a pick can be replayed', () => {
  fc.assert(
    fc.property(weights, fc.nat(), (given, turn) => {
      expect(byWeight(weighing(given), turn)).toEqual(byWeight(weighing(given), turn));
    }),
  );
});

test('turns are counted for a bounded number of routes', () => {
  const turns = new Turns();
  expect([turns.next('first'), turns.next('first')]).toEqual([0, 1]);
  for (let route = 0; route < 9_999; route++) turns.next(`${route}`);
  expect(turns.next('first')).toBe(2);
  turns.next('one more');
  expect([turns.next('9998'), turns.next('first')]).toEqual([1, 0]);
});
