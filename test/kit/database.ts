import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import type { DatabaseConnection } from '../../src/platform/database/connection.ts';

export interface TestDatabase {
  connection: DatabaseConnection;
  /** The same as a DATABASE_URL. */
  url: string;
  /** Also ends whoever is still connected. */
  drop(): Promise<void>;
}

/** A migrated database of its own for a test file; `isEmpty`: one without any table. */
export async function createDatabase(options: { isEmpty?: boolean } = {}): Promise<TestDatabase> {
  const maintenance = inject('postgres');
  const database = `test_${randomBytes(6).toString('hex')}`;
  const template = options.isEmpty ? 'template1' : inject('templateDatabase');
  await runSql(maintenance, `CREATE DATABASE ${database} TEMPLATE ${template}`);
  const connection = { ...maintenance, database };
  // Two databases are never the same one to a journal.
  if (!options.isEmpty) await runSql(connection, 'UPDATE configuration SET cluster_id = gen_random_uuid()');
  return {
    connection,
    url: `postgresql://${connection.user}@/${database}?host=${encodeURIComponent(connection.host)}&port=${connection.port}`,
    drop: () => runSql(maintenance, `DROP DATABASE ${database} WITH (FORCE)`),
  };
}

/** Runs one statement, or several without parameters, over a connection of its own. */
export async function runSql(connection: DatabaseConnection, sql: string): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
