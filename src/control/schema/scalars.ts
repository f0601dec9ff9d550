import { GraphQLError } from 'graphql';
import { fromUsd, toUsd } from '../../platform/money.ts';
import { builder } from './builder.ts';

const JSON_LIMIT_BYTES = 64 * 1024;
const JSON_DEPTH = 16;
/** What JSON can write and Postgres cannot store: U+0000 and lone surrogates, which are the escapes left in the text. */
const NOT_STORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/;
/** RFC 3339: a date, a time, and an offset. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i;

builder.scalarType('DateTime', {
  description: 'A time with its offset, as RFC 3339 writes it: `2026-11-20T19:30:00.000Z`. Answers are in UTC.',
  serialize: (value) => new Date(value).toISOString(),
  parseValue: (value) => {
    const time = typeof value === 'string' && DATE_TIME.test(value) ? new Date(value) : null;
    if (!time || Number.isNaN(time.getTime())) {
      throw new GraphQLError('A DateTime is written like "2026-11-20T19:30:00Z".');
    }
    return time;
  },
});

builder.scalarType('USD', {
  description: 'US dollars as an exact decimal string with up to 12 decimals: `"0.000125"`.',
  serialize: (value) => toUsd(value),
  parseValue: (value) => {
    const amount = typeof value === 'string' ? fromUsd(value) : null;
    if (amount === null) throw new GraphQLError('USD is a decimal string with at most 12 decimals, like "12.50".');
    return amount;
  },
});

builder.scalarType('BigInt', {
  description: 'A whole number that may be larger than 2³¹, as a decimal string: `"9007199254740993"`.',
  serialize: (value) => value.toString(),
  parseValue: (value) => {
    if (typeof value === 'string' && /^-?\d{1,38}$/.test(value)) return BigInt(value);
    if (Number.isSafeInteger(value)) return BigInt(value as number);
    throw new GraphQLError('A BigInt is a whole number in a string, like "9007199254740993".');
  },
});

builder.scalarType('JSON', {
  description: `Any JSON value that callers own. At most ${JSON_LIMIT_BYTES / 1024} KiB and ${JSON_DEPTH} levels deep.`,
  serialize: (value) => value,
  parseValue: (value) => {
    if (depthOf(value) > JSON_DEPTH) throw new GraphQLError(`JSON may be at most ${JSON_DEPTH} levels deep.`);
    const text = JSON.stringify(value);
    if (Buffer.byteLength(text) > JSON_LIMIT_BYTES) {
      throw new GraphQLError(`JSON may be at most ${JSON_LIMIT_BYTES} bytes.`);
    }
    if (NOT_STORABLE.test(text)) throw new GraphQLError('JSON may not contain U+0000 or half a surrogate pair.');
    return value;
  },
});

/** Stops looking one level below the limit. */
function depthOf(value: unknown, level = 0): number {
  if (typeof value !== 'object' || value === null || level > JSON_DEPTH) return level;
  return Object.values(value).reduce<number>((deepest, part) => Math.max(deepest, depthOf(part, level + 1)), level + 1);
}
