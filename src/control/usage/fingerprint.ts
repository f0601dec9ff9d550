import { sha256Hex } from '../../platform/crypto.ts';
import type { ReportedEvent } from './input.ts';

/** SHA-256 (hex) of what was reported: the same for the same content, in whatever order its members are written. */
export function fingerprintOf(event: ReportedEvent): string {
  return sha256Hex(JSON.stringify(sorted(event)));
}

/** Absent is the same as null. */
function sorted(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value ?? null;
  const members = Object.entries(value).filter(([, member]) => member !== null && member !== undefined);
  return members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, sorted(member)]);
}
