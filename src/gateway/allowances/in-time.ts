import { setTimeout as sleep } from 'node:timers/promises';

/** How long somebody waits for Postgres before they are refused. */
const PATIENCE_MS = 5_000;

/**
 * What comes of it, if that is soon.
 * @throws Error after five seconds; the work itself goes on
 */
export async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const patience = sleep(PATIENCE_MS, undefined, { signal: late.signal }).then(() => {
    throw new Error(`Postgres did not answer within ${PATIENCE_MS / 1_000} s.`);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    late.abort();
    patience.catch(() => undefined);
  }
}
