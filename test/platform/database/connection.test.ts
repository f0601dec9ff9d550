import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool, parseDatabaseUrl } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { createDatabase, runSql, type TestDatabase } from '../../kit/database.ts';
import { eventually } from '../../kit/eventually.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe('parseDatabaseUrl', () => {
  it('takes an address apart, with escapes', () => {
    expect(parseDatabaseUrl('postgresql://me:p%40ss@db.example.com:5433/box')).toEqual({
      host: 'db.example.com',
      port: 5433,
      user: 'me',
      password: 'p@ss',
      database: 'box',
    });
  });

  it('takes what is missing from where Postgres clients take it', () => {
    expect(parseDatabaseUrl('postgres://me@localhost')).toEqual({
      host: 'localhost',
      port: 5432,
      user: 'me',
      database: 'me',
    });
  });

  it('keeps TLS settings and session options', () => {
    expect(parseDatabaseUrl('postgresql://me@db/box?sslmode=no-verify').ssl).toEqual({ rejectUnauthorized: false });
    expect(parseDatabaseUrl('postgresql://me@db/box?sslmode=disable').ssl).toBe(false);
    expect(parseDatabaseUrl('postgresql://me@db/box?options=-c%20search_path%3Dmine').options).toBe(
      '-c search_path=mine',
    );
  });

  it('leads to the same database as the socket folder in the address', async () => {
    expect(parseDatabaseUrl(database.url)).toEqual({
      host: database.connection.host,
      port: database.connection.port,
      user: database.connection.user,
      database: database.connection.database,
    });
    const client = new pg.Client(parseDatabaseUrl(database.url));
    await client.connect();
    const { rows } = await client.query('SELECT current_database() AS name');
    await client.end();
    expect(rows).toEqual([{ name: database.connection.database }]);
  });

  it('names the setting, and never the password, of an address that it cannot read', () => {
    for (const url of ['postgresql://me:hunter2@db:port/box', 'postgresql://me:hunter2@db/box?sslrootcert=/no/such']) {
      expect(() => parseDatabaseUrl(url)).toThrow(/DATABASE_URL must be/);
      expect(() => parseDatabaseUrl(url)).not.toThrow(/hunter2/);
    }
  });
});

describe('createPool', () => {
  it('survives that the server ends its idle connections', async () => {
    const pool = createPool(database.connection, { max: 2, applicationName: 'signalbox survivor' });
    await pool.query('SELECT 1');
    await runSql(
      database.connection,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox survivor'",
    );
    await eventually(() => expect(pool.totalCount).toBe(0));
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  it('survives that the server ends a connection between two statements of its holder', async () => {
    const pool = createPool(database.connection, { max: 2, applicationName: 'signalbox holder' });
    const held = await pool.connect();
    await held.query('BEGIN');
    const ended = new Promise((resolve) => held.once('end', resolve));
    await runSql(
      database.connection,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox holder'",
    );
    await ended;
    const failure = await held.query('SELECT 1').catch((error: Error) => error);
    expect(failure).toBeInstanceOf(Error);
    held.release(true);
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  it('gives up on a connection when all are taken, and cancels statements that run too long', async () => {
    const pool = createPool(database.connection, { max: 1, applicationName: 'signalbox', statementTimeoutMs: 100 });
    await expect(pool.query('SELECT pg_sleep(5)')).rejects.toThrow(/statement timeout/);
    const taken = await pool.connect();
    await expect(pool.connect()).rejects.toThrow(/timeout/);
    taken.release();
    await pool.end();
  });
});

describe('createPrisma', () => {
  it('reads and writes, and tells of every statement', async () => {
    const statements: string[] = [];
    const prisma = createPrisma(database.connection, 2, (sql) => statements.push(sql));
    await prisma.route.create({ data: { slug: 'fast', name: 'Fast' } });
    statements.length = 0;
    expect(await prisma.route.findMany({ select: { slug: true } })).toEqual([{ slug: 'fast' }]);
    expect(statements).toHaveLength(1);
    expect(statements[0]).toContain('FROM "public"."routes"');
    await prisma.$disconnect();
  });
});
