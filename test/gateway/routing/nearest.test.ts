import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nearestNames } from '../../../src/gateway/routing/nearest.ts';

/** Levenshtein's distance as its definition has it. */
function distanceOf(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length;
  const [shorterA, shorterB] = [a.slice(1), b.slice(1)];
  if (a[0] === b[0]) return distanceOf(shorterA, shorterB);
  return 1 + Math.min(distanceOf(shorterA, b), distanceOf(a, shorterB), distanceOf(shorterA, shorterB));
}

const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), minLength: 1, maxLength: 7 });

test('a name is near when few letters differ, or one is part of the other', () => {
  fc.assert(
    fc.property(name, name, (wanted, other) => {
      const isPart = wanted.includes(other) || other.includes(wanted);
      const isNear = isPart || distanceOf(wanted, other) <= Math.max(2, wanted.length / 3);
      expect(nearestNames(wanted, [other])).toEqual(isNear ? [other] : []);
    }),
  );
});

test('names the three nearest, the nearest first', () => {
  const names = ['claude-opus', 'gpt-4x-minj', 'gpt-4.1-mini', 'gpt-5-min', 'gpt-4.1-nano'];
  expect(nearestNames('gpt-4.1-minj', names)).toEqual(['gpt-4.1-mini', 'gpt-4x-minj', 'gpt-4.1-nano']);
});
