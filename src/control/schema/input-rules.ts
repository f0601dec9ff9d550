import { z } from 'zod';

/** Control characters, half surrogate pairs, breaks of lines, and what turns the direction of the text around it. */
const UNWANTED = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
/** A letter, digit or sign: what is not there looks like no name at all. */
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * A text for people of 1 to `limit` characters, trimmed. Postgres stores neither NUL nor half a surrogate pair; the
 * other characters that are refused make a list of names look like another one.
 */
export function text(limit: number) {
  return z
    .string()
    .trim()
    .refine(
      (value) => value.length <= limit && VISIBLE.test(value) && !UNWANTED.test(value),
      `must have 1 to ${limit.toLocaleString('en')} characters, and no control characters`,
    );
}

/** What programs know a thing by: a model's name, an alias, a key. */
export function printable(limit: number) {
  return z
    .string()
    .regex(
      new RegExp(`^[\\x21-\\x7e]{1,${limit}}$`),
      `must be 1 to ${limit.toLocaleString('en')} printable ASCII characters without white space`,
    );
}

/** An object of JSON; its members are whatever they are. */
export const jsonObject = z.unknown().transform((value, context): Record<string, unknown> => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  context.addIssue('must be an object');
  return z.NEVER;
});

/** The same, of so many bytes at most as JSON is written. */
export function jsonObjectUpTo(bytes: number) {
  return jsonObject.refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= bytes,
    `must be at most ${bytes / 1024} KiB as JSON`,
  );
}

export function whole(min: number, max: number) {
  return z.int(`must be a whole number from ${min} to ${max}`).min(min).max(max);
}

/**
 * For `superRefine`: refuses what is in a list for the second time.
 * @param keyOf what things are the same by
 * @param path where that is in a thing
 */
export function eachOnce<T>(keyOf: (one: T) => string, path: string[] = []) {
  return (list: readonly T[], context: z.RefinementCtx): void => {
    const seen = new Set<string>();
    for (const [index, one] of list.entries()) {
      const key = keyOf(one);
      if (seen.has(key)) context.addIssue({ code: 'custom', path: [index, ...path], message: 'is there twice' });
      seen.add(key);
    }
  };
}
