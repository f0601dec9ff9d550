import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** A provider's own description of its API, or null where WIRE_RECORDINGS does not lead to it. */
export function readSpec(file: string): string | null {
  const recordings = process.env.WIRE_RECORDINGS;
  const path = recordings ? join(recordings, '../specs', file) : null;
  if (path && existsSync(path)) return gunzipSync(readFileSync(path)).toString('utf8');
  console.log(`WIRE_RECORDINGS does not lead to ${file}: requests are not held against it.`);
  return null;
}
