import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Log } from '../log.ts';
import { StartError } from '../start-error.ts';
import type { DatabaseConnection } from './connection.ts';
import { type Migration, readMigrationLock, readMigrations } from './migration-files.ts';

/** The database is not what this version of Signalbox can migrate. */
export class MigrationError extends StartError {}

/** A row of Prisma's table of migrations. */
interface Recorded {
  name: string;
  checksum: string;
  isFinished: boolean;
  logs: string | null;
}

/** ASCII "sbxm". Only one server migrates a database at a time. */
const LOCK_KEY = 0x7362786d;
const OLDEST_POSTGRES = 140000;

/**
 * Brings the database to the schema of this version. Servers that start together wait for the one that migrates.
 * Does next to nothing when there is nothing new.
 * @throws MigrationError when the database's history is not the one in prisma/migrations, when a migration failed,
 *   or when Postgres is older than 14.
 */
export async function migrate(connection: DatabaseConnection, log: Log): Promise<void> {
  const client = new pg.Client({
    ...connection,
    application_name: 'signalbox migrate',
    connectionTimeoutMillis: 10_000,
    // It asks for the lock and for what was applied; the migrations themselves, which may take long, do not run here.
    query_timeout: 10_000,
    keepAlive: true,
  });
  client.on('error', (error) => log.warn({ err: error.message }, 'the connection that holds the migration lock ended'));
  await client.connect();
  try {
    await refuseOldPostgres(client);
    await lock(client, log);
    const migrations = await readMigrations();
    const pending = findPending(migrations, await readRecorded(client));
    if (pending.length > 0) await applyPending(connection, migrations, pending, log);
  } finally {
    // Ending the session frees the lock.
    await client.end();
  }
}

async function refuseOldPostgres(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: number; version: string }>(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version`,
  );
  if (rows[0] && rows[0].number < OLDEST_POSTGRES)
    throw new MigrationError(`DATABASE_URL leads to a Postgres ${rows[0].version}; Signalbox needs 14 or later.`);
}

async function lock(client: pg.Client, log: Log): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    const { rows } = await client.query<{ isLocked: boolean }>(`SELECT pg_try_advisory_lock($1) AS "isLocked"`, [
      LOCK_KEY,
    ]);
    if (rows[0]?.isLocked) return;
    if (isFirst) log.info('waiting for another server that migrates the database');
    await delay(200);
  }
}

async function readRecorded(client: pg.Client): Promise<Recorded[]> {
  const table = await client.query<{ exists: boolean }>(
    `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`,
  );
  if (!table.rows[0]?.exists) return [];
  const { rows } = await client.query<Recorded>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS "isFinished", logs
     FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  return rows;
}

/** The migrations that the database lacks, after refusing a history that these files did not make. */
function findPending(migrations: readonly Migration[], recorded: readonly Recorded[]): Migration[] {
  const files = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const { name, checksum, isFinished, logs } of recorded) {
    if (!isFinished)
      throw new MigrationError(
        `The migration ${name} stopped half way${logs ? ` (${logs.trim().split('\n')[0]})` : ''}. Undo what it did to the database, or finish it by hand, then run: ` +
          `UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = '${name}' (undone) or SET finished_at = now() (finished), and start again.`,
      );
    const file = files.get(name);
    if (!file)
      throw new MigrationError(
        `The database has the migration ${name}, which this version of Signalbox does not know; start the version that made it, or a later one.`,
      );
    if (file.checksum !== checksum)
      throw new MigrationError(
        `prisma/migrations/${name}/migration.sql is not the file that was applied to the database; put the original back, and make changes in a new migration.`,
      );
  }
  const done = new Set(recorded.map(({ name }) => name));
  return migrations.filter(({ name }) => !done.has(name));
}

async function applyPending(
  connection: DatabaseConnection,
  migrations: readonly Migration[],
  pending: readonly Migration[],
  log: Log,
): Promise<void> {
  // These statements cannot run in a transaction, nor be undone; everything else is applied whole or not at all.
  const isOneTransaction = !pending.some(({ sql }) => /\bCONCURRENTLY\b/i.test(sql));
  log.info({ migrations: pending.map(({ name }) => name) }, 'migrating the database');
  const { applyMigrations } = await import('./schema-engine.ts');
  try {
    await applyMigrations(connection, migrations, await readMigrationLock(), isOneTransaction);
  } catch (error) {
    throw new MigrationError(`The database could not be migrated: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.trim() : String(error);
}
