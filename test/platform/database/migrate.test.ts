import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPool } from '../../../src/platform/database/connection.ts';
import { MigrationError, migrate } from '../../../src/platform/database/migrate.ts';
import { PRISMA_FOLDER, readMigrations } from '../../../src/platform/database/migration-files.ts';
import { ensurePartitions } from '../../../src/platform/database/partitions.ts';
import { applyMigrations, diffToSchema } from '../../../src/platform/database/schema-engine.ts';
import { createLog } from '../../../src/platform/log.ts';
import { createDatabase, runSql, type TestDatabase } from '../../kit/database.ts';

const lines: string[] = [];
const log = createLog({ logLevel: 'info' }, { write: (line) => lines.push(line) });
const LOCK_FILE = 'provider = "postgresql"\n';
let database: TestDatabase;
let pool: pg.Pool;

beforeEach(async () => {
  lines.length = 0;
  database = await createDatabase({ isEmpty: true });
  pool = createPool(database.connection, { max: 4, applicationName: 'signalbox test' });
});

afterEach(async () => {
  await pool.end();
  await database.drop();
});

async function tables(): Promise<string[]> {
  const { rows } = await pool.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
  return rows.map((row) => row.tablename);
}

describe('migrate', () => {
  it('leads to exactly what schema.prisma says, with the monthly partitions as well', async () => {
    await migrate(database.connection, log);
    await ensurePartitions(pool, new Date());
    const schema = await readFile(`${PRISMA_FOLDER}schema.prisma`, 'utf8');
    expect(await diffToSchema(database.connection, schema)).toBe('');
  });

  it('tells a schema apart that the migrations do not lead to', async () => {
    await migrate(database.connection, log);
    await runSql(
      database.connection,
      'ALTER TABLE users DROP COLUMN name; CREATE TABLE left_over (id int PRIMARY KEY)',
    );
    const schema = await readFile(`${PRISMA_FOLDER}schema.prisma`, 'utf8');
    const sql = await diffToSchema(database.connection, schema);
    expect(sql).toContain('ADD COLUMN     "name" TEXT');
    expect(sql).toContain('DROP TABLE "left_over"');
  });

  it('does nothing the second time', async () => {
    await migrate(database.connection, log);
    const first = await pool.query('SELECT * FROM _prisma_migrations');
    expect(lines.join()).toContain('migrating the database');
    lines.length = 0;
    await migrate(database.connection, log);
    const second = await pool.query('SELECT * FROM _prisma_migrations');
    expect(second.rows).toEqual(first.rows);
    expect(lines).toEqual([]);
  });

  it('records the checksums that it checks later', async () => {
    await migrate(database.connection, log);
    const { rows } = await pool.query('SELECT migration_name AS name, checksum FROM _prisma_migrations ORDER BY 1');
    expect(rows).toEqual((await readMigrations()).map(({ name, checksum }) => ({ name, checksum })));
  });

  it('is done once when several servers start together', async () => {
    await Promise.all([1, 2, 3].map(() => migrate(database.connection, log)));
    const { rows } = await pool.query('SELECT count(*)::int AS count FROM _prisma_migrations');
    expect(rows[0].count).toBe((await readMigrations()).length);
    expect((await pool.query('SELECT count(*)::int AS count FROM ledger_head')).rows[0].count).toBe(1);
  });

  it('refuses a database whose migration is not the file it was made from', async () => {
    await migrate(database.connection, log);
    await pool.query("UPDATE _prisma_migrations SET checksum = 'other'");
    await expect(migrate(database.connection, log)).rejects.toThrow(/is not the file that was applied/);
  });

  it('refuses a database that a later version has migrated', async () => {
    await migrate(database.connection, log);
    await pool.query("UPDATE _prisma_migrations SET migration_name = '20990101000000_later'");
    await expect(migrate(database.connection, log)).rejects.toThrow(/20990101000000_later, which this version/);
  });

  it('refuses a database whose migration stopped half way, and goes on after what it says is done', async () => {
    await migrate(database.connection, log);
    await pool.query("UPDATE _prisma_migrations SET finished_at = NULL, logs = 'deadlock detected'");
    const refusal = await migrate(database.connection, log).catch((error: Error) => error);
    expect(refusal).toBeInstanceOf(MigrationError);
    expect(refusal?.message).toMatch(/stopped half way \(deadlock detected\).*UPDATE _prisma_migrations/s);
    await pool.query('UPDATE _prisma_migrations SET finished_at = now()');
    await migrate(database.connection, log);
  });

  it('refuses a database that something else has filled, and leaves it alone', async () => {
    await pool.query('CREATE TABLE users (id int PRIMARY KEY)');
    await expect(migrate(database.connection, log)).rejects.toThrow(MigrationError);
    expect(await tables()).toEqual(['users']);
  });
});

describe('applyMigrations', () => {
  const good = { name: '20260101000000_good', sql: "CREATE TABLE good (text text DEFAULT 'a;b')", checksum: '' };
  const bad = { name: '20260102000000_bad', sql: 'CREATE TABLE bad (id int);\nSELECT 1 / 0;', checksum: '' };

  it('applies all or none in one transaction, and says what Postgres said', async () => {
    const applying = applyMigrations(database.connection, [good, bad], LOCK_FILE, true);
    await expect(applying).rejects.toThrow(/division by zero/);
    expect(await tables()).toEqual([]);
  });

  it('keeps what went well, and the failure on record, where a transaction is not possible', async () => {
    const applying = applyMigrations(database.connection, [good, bad], LOCK_FILE, false);
    await expect(applying).rejects.toThrow(/20260102000000_bad.*division by zero/s);
    expect(await tables()).toEqual(['_prisma_migrations', 'good']);
    const { rows } = await pool.query('SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NULL');
    expect(rows).toEqual([{ migration_name: bad.name }]);
  });

  it('does not split statements inside texts and functions', async () => {
    const sql =
      "DO $$ BEGIN CREATE TABLE made (id int); INSERT INTO made VALUES (1); END $$; COMMENT ON TABLE made IS 'a;b'";
    await applyMigrations(database.connection, [{ ...good, sql }], LOCK_FILE, true);
    expect(await tables()).toEqual(['_prisma_migrations', 'made']);
  });
});
