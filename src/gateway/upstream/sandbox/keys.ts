import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Failure } from './failure.ts';

/** What the sandbox makes of the key of a request. */
export interface KeyCheck {
  /** The first 8 hex digits of the key's SHA-256; null for a request without a key. */
  hint: string | null;
  /** Why the key does not get an answer; null where it does. */
  failure: Failure | null;
}

const REJECTED = /(?<![a-z0-9])rejected(?![a-z0-9])/i;
const LIMITED = /(?<![a-z0-9])limited(?![a-z0-9])/i;
const LIMITED_FOR_S = 20;

/**
 * Checks the key of a request: a Bearer token, `x-api-key`, `x-goog-api-key`, or `key` in the query; with several, the
 * first. None is needed and nearly every one is taken: a key is refused as a provider refuses a bad one when it has
 * the word `rejected` in it, and as one over its limit when it has the word `limited`. A word is whole: neither a letter
 * nor a digit stands before or behind it. `rejected` and `sk-limited-2` are such keys, `unlimited` is none.
 */
export function checkKey(request: IncomingMessage): KeyCheck {
  const key = keyOf(request);
  if (!key) return { hint: null, failure: null };
  const hint = hash('sha256', key).slice(0, 8);
  if (REJECTED.test(key)) return { hint, failure: { type: 'key-rejected' } };
  if (LIMITED.test(key)) return { hint, failure: { type: 'key-limited', retryAfter: LIMITED_FOR_S } };
  return { hint, failure: null };
}

function keyOf({ headers, url = '' }: IncomingMessage): string | null {
  const bearer = headers.authorization?.match(/^bearer\s+(.+)$/i)?.[1];
  const named = bearer ?? headers['x-api-key'] ?? headers['x-goog-api-key'];
  if (named !== undefined) return named.toString();
  const query = url.indexOf('?');
  return query < 0 ? null : new URLSearchParams(url.slice(query)).get('key');
}
