import { isUuid } from '../../platform/ids.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';

/**
 * What may be written into the journal: texts that Postgres takes, cut to a length, and numbers that fit their columns.
 * A record that Postgres refused would stop the drain for ever.
 */

const NAME_LENGTH = 200;
const MESSAGE_LENGTH = 1000;
const MAX_INT = 2 ** 31 - 1;
/** The largest number of a BIGINT column. */
export const MAX_BIGINT = 2n ** 63n - 1n;
/** The last millisecond of the year 9999. */
const MAX_TIME = 253_402_300_799_999;

export function nameText(text: string): string {
  return text.length > NAME_LENGTH ? text.slice(0, NAME_LENGTH) : text;
}

export function optionalName(text: string | null): string | null {
  return text === null ? null : nameText(text);
}

export function messageText(text: string): string {
  return text.length > MESSAGE_LENGTH ? text.slice(0, MESSAGE_LENGTH) : text;
}

export function optionalMessage(text: string | null): string | null {
  return text === null ? null : messageText(text);
}

/** A count or milliseconds, as an INTEGER column holds them. */
export function wholeNumber(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= MAX_INT) return value;
  return Number.isNaN(value) ? 0 : Math.round(Math.min(Math.max(value, 0), MAX_INT));
}

export function optionalWhole(value: number | null): number | null {
  return value === null || Number.isNaN(value) ? null : wholeNumber(value);
}

/** Milliseconds since 1970, up to the year 9999. */
export function timeValue(value: number): number {
  return Number.isNaN(value) ? 0 : Math.trunc(Math.min(Math.max(value, 0), MAX_TIME));
}

/** Picodollars as digits; a BIGINT column ends at $9.2M. */
export function moneyText(value: Picodollars | null): string | null {
  if (value === null) return null;
  return (value > MAX_BIGINT ? MAX_BIGINT : value).toString();
}

export function moneyOf(text: string | null): Picodollars | null {
  return text === null ? null : picodollars(BigInt(text));
}

/** @throws TypeError when a text is not a UUID. */
export function requireUuid(id: string): void {
  if (!isUuid(id)) throw new TypeError(`"${id}" is not a UUID.`);
}

/** JSON without characters that Postgres refuses, also in the names of members; they become U+FFFD. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value);
  // They, and few others, are escaped as \u…; hardly any record takes the slow way.
  if (!json.includes('\\u')) return json;
  // What follows an escaped backslash is text.
  return json.replace(/\\\\|\\u(?:0000|d[89a-f]..)/g, (found) => (found === '\\\\' ? found : '\ufffd'));
}
