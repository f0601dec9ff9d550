import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPool } from '../../../src/platform/database/connection.ts';
import { ensurePartitions } from '../../../src/platform/database/partitions.ts';
import { createLog } from '../../../src/platform/log.ts';
import { createDatabase, type TestDatabase } from '../../kit/database.ts';

const NOVEMBER = new Date('2026-11-20T12:00:00Z');
let database: TestDatabase;
let pool: pg.Pool;

beforeEach(async () => {
  database = await createDatabase();
  pool = createPool(database.connection, { max: 4, applicationName: 'signalbox test' });
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

async function partitions(table: string): Promise<string[]> {
  const sql = 'SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1';
  return (await pool.query(sql, [table])).rows.map((row) => row.name);
}

/** Writes an attempt of that moment, and says which partition took it. */
async function insertAt(moment: string, tail = '7abc-8def-0123456789ab'): Promise<string> {
  const hex = Date.parse(moment).toString(16).padStart(12, '0');
  const { rows } = await pool.query(
    `INSERT INTO attempts (id, completion_id, number, started_at, finished_at, status, provider_id, provider_slug, model,
       is_estimated, latency_ms)
     VALUES ($1, gen_random_uuid(), 1, now(), now(), 'SUCCEEDED', gen_random_uuid(), 'sandbox', 'm', false, 1)
     RETURNING tableoid::regclass::text AS name`,
    [`${hex.slice(0, 8)}-${hex.slice(8)}-${tail}`],
  );
  return rows[0].name;
}

describe('ensurePartitions', () => {
  it('makes those of this month and the next two, for both tables, over the turn of the year', async () => {
    await ensurePartitions(pool, NOVEMBER);
    expect(await partitions('completions')).toEqual([
      'completions_2026_11',
      'completions_2026_12',
      'completions_2027_01',
      'completions_default',
    ]);
    expect(await partitions('attempts')).toHaveLength(4);
  });

  it('puts each row into the month of its id, to the millisecond', async () => {
    await ensurePartitions(pool, NOVEMBER);
    expect(await insertAt('2026-10-31T23:59:59.999Z')).toBe('attempts_default');
    expect(await insertAt('2026-11-01T00:00:00.000Z', '7000-8000-000000000000')).toBe('attempts_2026_11');
    expect(await insertAt('2026-11-30T23:59:59.999Z', '7fff-bfff-ffffffffffff')).toBe('attempts_2026_11');
    expect(await insertAt('2026-12-01T00:00:00.000Z', '7000-8000-000000000000')).toBe('attempts_2026_12');
    expect(await insertAt('2027-02-01T00:00:00.000Z', '7000-8000-000000000000')).toBe('attempts_default');
  });

  it('changes nothing when called again, nor when several servers call it at once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => ensurePartitions(pool, NOVEMBER)));
    const before = await partitions('attempts');
    await ensurePartitions(pool, NOVEMBER);
    expect(await partitions('attempts')).toEqual(before);
    await ensurePartitions(pool, new Date('2026-12-01T00:00:00Z'));
    expect(await partitions('attempts')).toEqual([...before.slice(0, 3), 'attempts_2027_02', 'attempts_default']);
  });

  it('leaves a month in the default partition that has rows there already, and says so', async () => {
    const lines: string[] = [];
    expect(await insertAt('2026-12-24T00:00:00Z')).toBe('attempts_default');
    await ensurePartitions(pool, NOVEMBER, createLog({ logLevel: 'warn' }, { write: (line) => lines.push(line) }));
    expect(await partitions('attempts')).toEqual(['attempts_2026_11', 'attempts_2027_01', 'attempts_default']);
    expect(await partitions('completions')).toHaveLength(4);
    expect(lines.join()).toContain('attempts_2026_12');
  });
});
