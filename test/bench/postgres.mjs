// A Postgres for the benchmarks that need no server: one migrated database, of which copies are made.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openDataDir } from '../../dist/platform/data-dir.js';
import { createPool } from '../../dist/platform/database/connection.js';
import { startEmbeddedPostgres } from '../../dist/platform/database/embedded.js';
import { migrate } from '../../dist/platform/database/migrate.js';
import { ensurePartitions } from '../../dist/platform/database/partitions.js';
import { createLog } from '../../dist/platform/log.js';

export const log = createLog({ logLevel: 'error' });

/** Starts it. `close` stops it and removes its files. */
export async function openPostgres() {
  const folder = await mkdtemp(join(tmpdir(), 'signalbox-bench-'));
  // As root the embedded Postgres runs as another user, who must be able to enter.
  await chmod(folder, 0o711);
  const dataDir = await openDataDir(folder, { isShared: false });
  const postgres = await startEmbeddedPostgres({ dataDir: folder, log });
  const { connection } = postgres;
  await migrate(connection, log);
  const pool = createPool(connection, { max: 2, applicationName: 'bench' });
  await ensurePartitions(pool, new Date());
  await pool.end();

  const admin = async (sql) => {
    const client = new pg.Client({ ...connection, database: 'postgres' });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  return {
    folder,
    connection,
    /** Another database like it; nobody may be connected to it meanwhile. */
    async copy(name) {
      await admin(`CREATE DATABASE ${name} TEMPLATE ${connection.database}`);
      return { ...connection, database: name };
    },
    drop: (name) => admin(`DROP DATABASE ${name} WITH (FORCE)`),
    async close() {
      await postgres.stop();
      await dataDir.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs statements over one connection. */
export async function connected(connection, work) {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * Three hard budgets and a user's credits, so large that nothing is refused.
 * @returns the ids that spending needs
 */
export async function seedAllowances(connection) {
  return connected(connection, async (client) => {
    const ids = { user: id(1), apiKey: id(2), provider: id(3), credits: id(4) };
    const budgets = [
      [id(11), 'EVERYTHING', ''],
      [id(12), 'USER', ids.user],
      [id(13), 'API_KEY', ids.apiKey],
    ];
    await client.query('BEGIN');
    await client.query(`INSERT INTO users (id, email, password_hash) VALUES ($1, 'bench@localhost', '')`, [ids.user]);
    for (const [budget, scope, subject] of budgets) {
      await client.query(
        `INSERT INTO budgets (id, scope, subject_id, period, "limit", enforcement)
         VALUES ($1, $2::"BudgetScope", $3, 'MONTHLY', $4, 'HARD')`,
        [budget, scope, subject, LIMIT],
      );
    }
    await client.query(
      `INSERT INTO allowances (id, kind, user_id, starts_at, "limit") VALUES ($1, 'CREDITS', $2, '2000-01-01', $3)`,
      [ids.credits, ids.user, LIMIT],
    );
    await client.query('UPDATE ledger_head SET budgets_version = budgets_version + 1');
    await client.query('COMMIT');
    return ids;
  });
}

/** A hundred million dollars in picodollars. */
const LIMIT = '100000000000000000000';

function id(number) {
  return `01930000-0000-7000-8000-${String(number).padStart(12, '0')}`;
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
