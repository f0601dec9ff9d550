import type { JsonSchema } from './ask.ts';

const LONGEST_STRING = 100_000;

/** Examples of the formats that JSON Schema names. */
const FORMATS: Readonly<Record<string, string>> = {
  date: '2025-01-31',
  time: '09:30:00Z',
  'date-time': '2025-01-31T09:30:00Z',
  duration: 'PT30M',
  email: 'sandbox@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/sandbox',
  url: 'https://example.com/sandbox',
  uuid: '5a4db0c5-0000-4000-8000-000000000001',
};

/**
 * A string for a schema with `format`, `minLength`, `maxLength`; otherwise it says which property it stands for.
 * @returns null when it would have to be longer than 100,000 characters.
 */
export function fillString(schema: JsonSchema, name: string): string | null {
  const { format, minLength = 0, maxLength } = schema;
  if (typeof format === 'string' && Object.hasOwn(FORMATS, format)) return FORMATS[format] ?? null;
  if (typeof minLength !== 'number' || minLength > LONGEST_STRING) return null;
  const text = `sandbox ${name}`.padEnd(minLength, '.');
  return typeof maxLength === 'number' ? text.slice(0, Math.max(0, maxLength)) : text;
}

/** A number within `minimum`, `maximum`, their exclusive forms and `multipleOf`, as near to 1 as they let it. */
export function fillNumber(schema: JsonSchema): number {
  const least = numberOr(schema.minimum, Number.NEGATIVE_INFINITY);
  const most = numberOr(schema.maximum, Number.POSITIVE_INFINITY);
  const above = numberOr(schema.exclusiveMinimum, Number.NEGATIVE_INFINITY);
  const below = numberOr(schema.exclusiveMaximum, Number.POSITIVE_INFINITY);
  const step = Math.abs(numberOr(schema.multipleOf, 0)) || (schema.type === 'integer' ? 1 : 0);
  if (step > 0) {
    const low = Math.max(Math.ceil(least / step), Math.floor(above / step) + 1);
    const high = Math.min(Math.floor(most / step), Math.ceil(below / step) - 1);
    return Math.min(Math.max(1, low), high) * step;
  }
  const low = Math.max(least, above);
  const high = Math.min(most, below);
  if (low < 1 && high > 1) return 1;
  if (Number.isFinite(low) && Number.isFinite(high)) return (low + high) / 2;
  return Number.isFinite(low) ? low + 1 : high - 1;
}

function numberOr(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}
