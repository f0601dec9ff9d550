import { hash } from 'node:crypto';
import { invalid } from '../../../platform/errors.ts';

const DEEPEST_NESTING = 200;

/**
 * SHA-256 (hex) of a request body, blind to the order of members and to what changes only the transport of the
 * answer, so that a stream and a plain answer to the same request say the same.
 * @throws ValidationError when the body is nested deeper than 200.
 */
export function digestOf(body: Record<string, unknown>): string {
  const { stream: _stream, stream_options: _streamOptions, sandbox: _controls, ...asked } = body;
  return hash('sha256', canonicalJson(asked, 0));
}

/** Derives a digest for a part of an answer, such as a choice or a tool call. */
export function subDigest(digest: string, part: string): string {
  return hash('sha256', `${digest}/${part}`);
}

/** Numbers in [0, 1), always the same ones for the same digest (mulberry32). */
export function randomFrom(digest: string): () => number {
  let state = Number.parseInt(digest.slice(0, 8), 16);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of `items`, chosen by `random`. */
export function pick<Item>(items: readonly [Item, ...Item[]], random: () => number): Item {
  return items[Math.floor(random() * items.length)] ?? items[0];
}

function canonicalJson(value: unknown, depth: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (depth === DEEPEST_NESTING) {
    throw invalid('', `The body is nested deeper than ${DEEPEST_NESTING} levels.`);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join()}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member, depth + 1)}`).join()}}`;
}
