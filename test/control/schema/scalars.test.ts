import fc from 'fast-check';
import { type GraphQLScalarType, parseValue } from 'graphql';
import { expect, test } from 'vitest';
import { buildSchema } from '../../../src/control/schema/schema.ts';

const schema = buildSchema();
const scalar = (name: string) => schema.getType(name) as GraphQLScalarType;

test('a DateTime must have an offset, and is answered in UTC', () => {
  const { parseValue: parse, serialize } = scalar('DateTime');
  expect(serialize(parse('2026-11-20T20:30:00+01:00'))).toBe('2026-11-20T19:30:00.000Z');
  for (const wrong of ['2026-11-20', '2026-11-20T20:30:00', '2026-13-01T00:00:00Z', 'now', 17, null, {}]) {
    expect(() => parse(wrong)).toThrow('A DateTime is written like');
  }
});

test('USD and BigInt come back as they went in', () => {
  const usd = scalar('USD');
  const big = scalar('BigInt');
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 29n), max: 10n ** 29n }), (value) => {
      expect(usd.parseValue(usd.serialize(value))).toBe(value);
      expect(big.parseValue(big.serialize(value))).toBe(value);
    }),
  );
  for (const wrong of ['', '1e3', '0.0000000000001', '1,50', 1.5, null])
    expect(() => usd.parseValue(wrong)).toThrow('USD');
  for (const wrong of ['', '1.5', '0x10', 1.5, 2 ** 60, null]) expect(() => big.parseValue(wrong)).toThrow('BigInt');
});

test('JSON has a limit of size and of depth', () => {
  const { parseValue: parse } = scalar('JSON');
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  expect(parse({ team: ['finance', null, 1.5] })).toEqual({ team: ['finance', null, 1.5] });
  expect(parse(nested(16))).toEqual(nested(16));
  expect(() => parse(nested(17))).toThrow('levels deep');
  expect(() => parse(nested(5_000))).toThrow('levels deep');
  expect(() => parse('x'.repeat(64 * 1024))).toThrow('bytes');
});

test('JSON that Postgres cannot store is refused, and nothing that only looks like it', () => {
  const { parseValue: parse } = scalar('JSON');
  for (const wrong of ['a\u0000b', { 'a\u0000': 1 }, ['\ud800'], '\\\u0000'])
    expect(() => parse(wrong)).toThrow('may not contain');
  for (const right of ['a\\u0000b', '\\ud800', '💥', { '\\\\u0000': '\n' }]) expect(parse(right)).toEqual(right);
});

test('JSON in a document is limited like JSON in a variable', () => {
  const { parseLiteral } = scalar('JSON');
  expect(parseLiteral(parseValue('{ team: ["finance"] }'))).toEqual({ team: ['finance'] });
  expect(() => parseLiteral(parseValue(`${'['.repeat(17)}1${']'.repeat(17)}`))).toThrow('levels deep');
});
