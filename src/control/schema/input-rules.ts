import { z } from 'zod';

/** A text for people of 1 to `limit` characters, trimmed, without control characters and half surrogate pairs. */
export function text(limit: number, what: string) {
  return z
    .string()
    .trim()
    .refine((value) => value.length >= 1 && value.length <= limit && !/[\p{Cc}\p{Cs}]/u.test(value), `must be ${what}`);
}

export function whole(min: number, max: number) {
  return z.int(`must be a whole number from ${min} to ${max}`).min(min).max(max);
}
