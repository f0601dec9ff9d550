import { randomBytes, randomFillSync } from 'node:crypto';

const pool = Buffer.alloc(4096);
let used = pool.length;
let lastMs = 0;
let counter = 0;

/**
 * A UUIDv7 (RFC 9562): sortable by time. Ids made in the same millisecond by one process keep their order
 * (12-bit counter in `rand_a`, method 1 of section 6.2).
 */
export function uuidv7(now: number = Date.now()): string {
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  if (used + 8 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const time = lastMs.toString(16).padStart(12, '0');
  const random = pool.toString('hex', used, used + 8);
  used += 8;
  const variant = (8 + (Number.parseInt(random[0] as string, 16) & 3)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}-${variant}${random.slice(1, 4)}-${random.slice(4)}`;
}

/** The last time a UUIDv7 can carry. */
const LAST_MS = 2 ** 48 - 1;

/** The smallest UUID of those that carry this time, in ms since 1970. */
export function firstUuidAt(ms: number): string {
  const hex = Math.min(Math.max(Math.trunc(ms), 0), LAST_MS)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** A new API key: `sbx_` and 32 random bytes. */
export function newApiKey(): string {
  return `sbx_${randomBytes(32).toString('base64url')}`;
}

/** What may be shown of a secret: `sk-proj-abc…a1b2` → `sk-…a1b2`. Short secrets show nothing. */
export function maskSecret(secret: string): string {
  if (secret.length < 12) return '…';
  const prefix = /^[a-z]{2,5}[-_]/i.exec(secret)?.[0] ?? '';
  return `${prefix}…${secret.slice(-4)}`;
}
