import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { spliceMembers } from '../../../src/gateway/upstream/splice.ts';

const splice = (json: string, edits: Record<string, string | null>) =>
  spliceMembers(Buffer.from(json), edits).toString();

describe('splicing members into a body', () => {
  test('only the named member changes: big integers, order, white space and duplicates below stay as they were', () => {
    const body = '{ "seed": 9007199254740993,\n "model" : "default", "z":1, "metadata":{"model":"inner"}, "a": 1.0 }';
    expect(splice(body, { model: '"gpt"' })).toBe(body.replace('"default"', '"gpt"'));
  });

  test('a member that is not there is added', () => {
    expect(splice('{"messages":[]}', { model: '"m"' })).toBe('{"model":"m","messages":[]}');
    expect(splice(' { } ', { model: '"m"', n: '2' })).toBe(' {"model":"m","n":2 } ');
  });

  test('a name written with escapes or written twice is found', () => {
    expect(splice('{"mod\\u0065l":"a","x":1,"model":"b"}', { model: '"m"' })).toBe(
      '{"mod\\u0065l":"m","x":1,"model":"m"}',
    );
  });

  test('quotes, backslashes and braces inside strings do not mislead', () => {
    const body = '{"a":"\\"model\\":\\"x\\\\","b":["}","{",{"c":"]\\\\\\""}],"model":"old"}';
    expect(splice(body, { model: '"new"' })).toBe(body.replace('"old"', '"new"'));
  });

  test('a member is taken out with its comma, wherever it stands', () => {
    expect(splice('{ "n":1 , "a":2}', { n: null })).toBe('{ "a":2}');
    expect(splice('{"a":2, "n":1 }', { n: null })).toBe('{"a":2 }');
    expect(splice('{"a":2, "n":1,"b":"," ,"n":3}', { n: null, b: '4' })).toBe('{"a":2,"b":4 }');
    expect(splice('{"n":1,"n":2}', { n: null, m: '3' })).toBe('{"m":3}');
  });

  test('for any JSON object the result says the same but for the edits', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.constantFrom('model', 'stream_options', 'n', ''), fc.jsonValue()),
        fc.subarray(['model', 'n', 'a', 'b', '']),
        fc.constantFrom(undefined, 1, '\t'),
        (others, edits, removed, indent) => {
          const body = { a: 1, ...others, n: [','], b: '}' };
          const texts: Record<string, string | null> = Object.fromEntries(
            Object.entries(edits).map(([name, value]) => [name, JSON.stringify(value)]),
          );
          const expected: Record<string, unknown> = { ...body, ...edits };
          for (const name of removed) {
            texts[name] = null;
            delete expected[name];
          }
          const spliced = spliceMembers(Buffer.from(JSON.stringify(body, null, indent)), texts);
          expect(JSON.parse(spliced.toString())).toEqual(JSON.parse(JSON.stringify(expected)));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
