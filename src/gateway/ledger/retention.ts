import type pg from 'pg';
import { dropPartitionsBefore, PARTITIONED } from '../../platform/database/partitions.ts';
import { firstUuidAt } from '../../platform/ids.ts';
import type { Log } from '../../platform/log.ts';

/** ASCII "sbxr". Only one server deletes at a time. */
const LOCK_KEY = 0x73627872;
/** Rows of one statement: each is a transaction of its own. */
const BATCH = 5_000;

export interface RetentionOptions {
  /** Whole months before that of `now` whose rows are kept; 0: all are. */
  months: number;
  now: Date;
  /** Ends it after what is being deleted. */
  signal: AbortSignal;
  log: Log;
  batch?: number;
}

/**
 * Deletes the rows of the ledger that are older than the months to be kept: whole partitions, and in batches the rows
 * that are in none of a month's own. Roll-ups, budgets and credits stay as they are. What cannot be locked in a second
 * is left for the next time. Safe to call from several servers: one of them does it, the others do nothing.
 * @returns whether it was this one
 */
export async function deleteOldRows(pool: pg.Pool, options: RetentionOptions): Promise<boolean> {
  if (options.months === 0 || options.signal.aborted) return false;
  const client = await pool.connect();
  try {
    const { rows } = await client.query<{ isMine: boolean }>('SELECT pg_try_advisory_lock($1) AS "isMine"', [LOCK_KEY]);
    if (!rows[0]?.isMine) return false;
    try {
      await deleteWith(client, options);
    } finally {
      await client.query('SELECT pg_advisory_unlock($1)', [LOCK_KEY]);
    }
    return true;
  } finally {
    client.release();
  }
}

/** The first instant of the oldest month whose rows are kept; months are those of UTC, like the partitions. */
export function keptFrom(now: Date, months: number): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months));
}

async function deleteWith(
  client: pg.ClientBase,
  { months, now, signal, log, batch = BATCH }: RetentionOptions,
): Promise<void> {
  const from = keptFrom(now, months);
  // Known before the first row goes: who sums the rows up knows how far they reach.
  await client.query('UPDATE ledger_head SET kept_from = $1 WHERE id = 1 AND (kept_from IS NULL OR kept_from < $1)', [
    from,
  ]);
  for (const table of PARTITIONED) {
    if (signal.aborted) return;
    const dropped = await dropPartitionsBefore(client, table, from);
    if (dropped.length > 0) log.info({ partitions: dropped }, 'dropped the partitions of months that are not kept');
  }
  const oldest = firstUuidAt(from.getTime());
  for (const statement of [...PARTITIONED.map((table) => deleteById(`${table}_default`)), deleteById('corrections')])
    await inBatches(client, statement, [oldest, batch], signal);
  await inBatches(client, DELETE_KEYS, [from, batch], signal);
}

async function inBatches(
  client: pg.ClientBase,
  statement: string,
  values: [before: unknown, batch: number],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { rowCount } = await client.query(statement, values);
    if ((rowCount ?? 0) < values[1]) return;
  }
}

/** The ids of these tables are UUIDv7: they tell when the rows were made. */
function deleteById(table: string): string {
  return `
    DELETE FROM ${table} WHERE id = ANY (ARRAY(
      SELECT id FROM ${table} WHERE id < $1::uuid ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED))`;
}

const DELETE_KEYS = `
  DELETE FROM usage_keys WHERE (user_id, key) IN (
    SELECT user_id, key FROM usage_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`;
