import type pg from 'pg';
import type { Log } from '../log.ts';

/** The tables of the ledger that are partitioned by month. */
export const PARTITIONED = ['completions', 'attempts', 'usage_events'];
/** The current month and the two after it. */
const MONTHS = 3;
/** ASCII "sbxp". Only one server makes partitions at a time. */
const LOCK_KEY = 0x73627870;
const CHECK_VIOLATION = '23514';

/**
 * Makes the monthly partitions of the ledger's tables for the month of `now` and the two after it, where they are
 * missing. A month that already has rows in the default partition stays there. Safe to call from several servers, and
 * while they write: it waits at most 3 s for a table's lock.
 * @throws pg.DatabaseError, 55P03 when a table stays locked; the next call tries again.
 */
export async function ensurePartitions(pool: pg.Pool, now: Date, log?: Log): Promise<void> {
  const wanted = PARTITIONED.flatMap((table) =>
    Array.from({ length: MONTHS }, (_, ahead) => partitionOf(table, now.getUTCFullYear(), now.getUTCMonth() + ahead)),
  );
  const { rows } = await pool.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL',
    [wanted.map(({ name }) => name)],
  );
  const missing = new Set(rows.map(({ name }) => name));
  for (const partition of wanted) if (missing.has(partition.name)) await makePartition(pool, partition, log);
}

/**
 * Drops the partitions of a table whose rows are all from before `moment`, the oldest first. Each is a transaction of
 * its own, for which the whole table is locked: it waits at most a second for that.
 * @returns their names
 * @throws pg.DatabaseError, 55P03 when the table stays locked; the next call goes on.
 */
export async function dropPartitionsBefore(client: pg.ClientBase, table: string, moment: Date): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(OLD_PARTITIONS, [table, idAt(moment)]);
  for (const { name } of rows) {
    await client.query('BEGIN');
    try {
      await client.query("SET LOCAL lock_timeout = '1s'");
      await client.query(`DROP TABLE IF EXISTS ${name}`);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }
  return rows.map(({ name }) => name);
}

/** Those that have an end, which the one for all other rows has not. */
const OLD_PARTITIONS = `
  SELECT child.oid::regclass::text AS name, bounds."to"
  FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
    CROSS JOIN LATERAL (
      SELECT substring(pg_get_expr(child.relpartbound, child.oid) FROM $$TO \\('([-0-9a-f]{36})'\\)$$)::uuid AS "to"
    ) AS bounds
  WHERE inhparent = $1::regclass AND bounds."to" <= $2::uuid
  ORDER BY bounds."to"`;

interface Partition {
  table: string;
  name: string;
  /** The first id that belongs into it, and the first that no longer does. */
  from: string;
  to: string;
}

async function makePartition(pool: pg.Pool, { table, name, from, to }: Partition, log?: Log): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query("SET LOCAL lock_timeout = '3s'");
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY]);
    await client.query(
      `CREATE TABLE IF NOT EXISTS "${name}" PARTITION OF "${table}" FOR VALUES FROM ('${from}') TO ('${to}')`,
    );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    if ((error as pg.DatabaseError).code !== CHECK_VIOLATION) throw error;
    log?.warn({ partition: name }, 'the month has rows in the default partition already, and stays there');
  } finally {
    client.release();
  }
}

function partitionOf(table: string, year: number, month: number): Partition {
  const start = new Date(Date.UTC(year, month));
  const suffix = start.toISOString().slice(0, 7).replace('-', '_');
  return { table, name: `${table}_${suffix}`, from: idAt(start), to: idAt(new Date(Date.UTC(year, month + 1))) };
}

/** The smallest UUIDv7 of a moment: its first 48 bits are milliseconds (RFC 9562, section 5.7). */
function idAt(moment: Date): string {
  const hex = moment.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
