import fc from 'fast-check';
import { expect, it } from 'vitest';
import { untilStop } from '../../../../src/gateway/upstream/sandbox/stop.ts';
import { countTokens, splitTokens } from '../../../../src/gateway/upstream/sandbox/tokens.ts';

const texts = fc.string({ unit: fc.constantFrom(' ', '\n', 'a', 'bc', 'ü', '🚂', '\u0000', '日本'), maxLength: 60 });

it('counts short words as one token and long ones as one for each eight characters', () => {
  expect(countTokens('')).toBe(0);
  expect(countTokens('a signal box')).toBe(3);
  expect(countTokens('interlocking')).toBe(2);
  expect(countTokens('  ')).toBe(1);
});

it('splits any text into as many tokens as it counts, without losing or halving a character', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const tokens = [...splitTokens(text)];
      expect(tokens.join('')).toBe(text);
      expect(tokens).toHaveLength(countTokens(text));
      for (const token of tokens) expect(Buffer.from(token).toString()).toBe(token);
    }),
  );
});

it('stops before the stop sequence that is complete first, however the text is cut', () => {
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', ' '), minLength: 1, maxLength: 4 }), {
    maxLength: 4,
  });
  const runs = fc.array(fc.array(fc.constantFrom('a', 'b', ' a', 'ab', ' bb'), { maxLength: 5 }), { maxLength: 6 });
  fc.assert(
    fc.property(runs, stops, (given, sequences) => {
      const text = given.flat().join('');
      // Of those that are complete at the same time, the longest.
      const ends = Array.from({ length: text.length + 1 }, (_, end) => end);
      const end = ends.find((at) => sequences.some((stop) => text.slice(0, at).endsWith(stop)));
      const complete = sequences.filter((stop) => end !== undefined && text.slice(0, end).endsWith(stop));
      const length = end === undefined ? text.length : end - Math.max(...complete.map((stop) => stop.length));
      expect([...untilStop(given, sequences)].flat().join('')).toBe(text.slice(0, length));
    }),
    { numRuns: 5_000 },
  );
});
