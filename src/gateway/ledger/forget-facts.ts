import type pg from 'pg';
import { REWRITTEN_AFTER_MS } from './journaled-facts.ts';

const DAY_MS = 24 * 3_600_000;
/** Rows of one statement: each is a transaction, and what writes facts meanwhile waits only for that. */
const BATCH = 1_000;

/**
 * Deletes the facts that no decision of the last `days` days names. Safe to call from several servers, and while they
 * write: what one of them uses again is either seen to be in use, or written anew with its content.
 * @param signal ends it after the batch that is being deleted
 * @returns how many there were
 */
export async function forgetFacts(
  database: Pick<pg.ClientBase, 'query'>,
  days: number,
  signal: AbortSignal,
  batch = BATCH,
): Promise<number> {
  // A decision may name what was written, here or by any server, up to that long before it.
  const seconds = (days * DAY_MS + REWRITTEN_AFTER_MS) / 1_000;
  let forgotten = 0;
  while (!signal.aborted) {
    const { rowCount } = await database.query(FORGET, [seconds, batch]);
    forgotten += rowCount ?? 0;
    if ((rowCount ?? 0) < batch) break;
  }
  return forgotten;
}

/** Never waits for a row, so that it cannot stand in a circle with who writes several of them. */
const FORGET = `
  DELETE FROM routing_facts
   WHERE created_at < now() - make_interval(secs => $1)
     AND id = ANY (ARRAY(
       SELECT id FROM routing_facts WHERE created_at < now() - make_interval(secs => $1)
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))`;
