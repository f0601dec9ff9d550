import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { deleteOldRows, keptFrom } from '../../../src/gateway/ledger/retention.ts';
import { ensurePartitions, PARTITIONED } from '../../../src/platform/database/partitions.ts';
import { firstUuidAt } from '../../../src/platform/ids.ts';
import { ledgerDatabase, recordedLog } from './kit.ts';

const NOW = new Date('2027-03-10T12:00:00Z');

/** A ledger with partitions from January 2027 on, and rows of these moments in each table that has an age. */
async function ledger(moments: readonly string[]) {
  const database = await ledgerDatabase();
  const pool = new pg.Pool({ ...database.connection, max: 4 });
  onTestFinished(() => pool.end());
  await ensurePartitions(pool, new Date('2027-01-01T00:00:00Z'));
  for (const moment of moments) {
    const id = firstUuidAt(Date.parse(moment)).replace('-0000-0000-', '-7000-8000-');
    for (const statement of INSERTS) await pool.query(statement, [id, moment]);
  }
  const options = { now: NOW, signal: new AbortController().signal, log: recordedLog().log };
  /** The moments that each table still has. */
  const left = async () =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(TIMES).map(async ([table, column]) => {
          const { rows } = await pool.query(`SELECT ${column} AS at FROM ${table} ORDER BY 1`);
          return [table, rows.map(({ at }) => (at as Date).toISOString())] as const;
        }),
      ),
    );
  return { pool, options, left };
}

const TIMES = {
  completions: 'started_at',
  attempts: 'started_at',
  usage_events: 'occurred_at',
  corrections: 'created_at',
  usage_keys: 'created_at',
};

const INSERTS = [
  `INSERT INTO completions (id, seq, server_id, started_at, finished_at, status, door, is_streamed, is_estimated, cost,
     latency_ms, attempt_count, config_version, tags)
   VALUES ($1, 1, 's', $2, $2, 'SUCCEEDED', 'OPENAI', false, false, 5, 1, 1, 1, '{}')`,
  `INSERT INTO attempts (id, completion_id, number, started_at, finished_at, status, provider_id, provider_slug, model,
     is_estimated, latency_ms)
   VALUES ($1, $1, 1, $2, $2, 'SUCCEEDED', gen_random_uuid(), 'sandbox', 'm', false, 1)`,
  `INSERT INTO usage_events (id, seq, occurred_at, recorded_at, user_id, provider_slug, model, input_tokens,
     output_tokens, metadata)
   VALUES ($1, 1, $2, $2, gen_random_uuid(), 'sandbox', 'm', 1, 1, '{}')`,
  `INSERT INTO corrections (id, seq, reason, attempt_id, cost, cost_source, difference, was_unpriced, created_at)
   VALUES ($1, 1, 'REPRICED', $1, 5, 'PRICED', 5, true, $2)`,
  `INSERT INTO usage_keys (user_id, key, event_id, fingerprint, created_at)
   VALUES (gen_random_uuid(), 'key', $1, 'f', $2)`,
];

const EDGES = [
  // Before there were partitions, so that the one for all other rows has them.
  '2026-10-05T00:00:00.000Z',
  '2026-11-05T00:00:00.000Z',
  '2026-12-31T23:59:59.999Z',
  '2027-01-01T00:00:00.000Z',
  '2027-01-31T23:59:59.999Z',
  '2027-02-01T00:00:00.000Z',
  '2027-03-10T11:00:00.000Z',
];

it('deletes whole months, to the millisecond, wherever their rows are, and keeps the sums', async () => {
  const { pool, options, left } = await ledger(EDGES);
  await pool.query(`INSERT INTO rollup_series (key, status) VALUES ('k', 'SUCCEEDED')`);
  await pool.query(`INSERT INTO rollups (grain, bucket, series_id, requests, input_tokens, output_tokens, cached_tokens,
      reasoning_tokens, cost, unpriced, latency_ms, time_to_first_token_ms, timed_first_tokens)
    SELECT 'HOUR', '2026-10-05', id, 1, 1, 1, 0, 0, 5, 0, 1, 0, 0 FROM rollup_series`);
  // Batches of two, so that there are several.
  expect(await deleteOldRows(pool, { ...options, months: 1, batch: 2 })).toBe(true);
  for (const [table, moments] of Object.entries(await left()))
    expect([table, moments]).toEqual([table, EDGES.slice(5)]);
  const { rows } = await pool.query(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = ANY ($1::regclass[]) ORDER BY 1`,
    [PARTITIONED],
  );
  expect(rows.map(({ name }) => name)).toEqual(
    ['attempts', 'completions', 'usage_events'].flatMap((table) =>
      ['2027_02', '2027_03', 'default'].map((part) => `${table}_${part}`),
    ),
  );
  expect((await pool.query('SELECT requests, cost FROM rollups')).rows).toEqual([{ requests: '1', cost: '5' }]);
  expect((await pool.query('SELECT kept_from FROM ledger_head')).rows).toEqual([
    { kept_from: new Date('2027-02-01T00:00:00Z') },
  ]);
});

it('keeps everything where no age is set, and what was deleted stays told when more is kept', async () => {
  const { pool, options, left } = await ledger(EDGES);
  expect(await deleteOldRows(pool, { ...options, months: 0 })).toBe(false);
  expect((await left()).completions).toEqual(EDGES);
  await deleteOldRows(pool, { ...options, months: 2 });
  await deleteOldRows(pool, { ...options, months: 12 });
  expect((await left()).attempts).toEqual(EDGES.slice(3));
  expect((await pool.query('SELECT kept_from FROM ledger_head')).rows).toEqual([{ kept_from: keptFrom(NOW, 2) }]);
});

it('never deletes the month that runs', () => {
  expect(keptFrom(new Date('2027-03-01T00:00:00.000Z'), 1)).toEqual(new Date('2027-02-01T00:00:00Z'));
  expect(keptFrom(new Date('2027-03-31T23:59:59.999Z'), 1)).toEqual(new Date('2027-02-01T00:00:00Z'));
  expect(keptFrom(new Date('2027-01-15T00:00:00Z'), 13)).toEqual(new Date('2025-12-01T00:00:00Z'));
});

it('leaves a table that is in use for the next time, within a second, and holds nobody up', async () => {
  const { pool, options, left } = await ledger(EDGES);
  const reader = await pool.connect();
  await reader.query('BEGIN');
  await reader.query('SELECT count(*) FROM completions');
  const startedAt = performance.now();
  await expect(deleteOldRows(pool, { ...options, months: 1 })).rejects.toMatchObject({ code: '55P03' });
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect((await left()).attempts).toEqual(EDGES);
  await reader.query('COMMIT');
  reader.release();
  expect(await deleteOldRows(pool, { ...options, months: 1 })).toBe(true);
  expect((await left()).completions).toEqual(EDGES.slice(5));
});

it('is done by one server at a time, and not at all by one that stops', async () => {
  const { pool, options, left } = await ledger(EDGES);
  const other = await pool.connect();
  await other.query('SELECT pg_advisory_lock($1)', [0x73627872]);
  expect(await deleteOldRows(pool, { ...options, months: 1 })).toBe(false);
  await other.query('SELECT pg_advisory_unlock($1)', [0x73627872]);
  other.release();
  expect(await deleteOldRows(pool, { ...options, months: 1, signal: AbortSignal.abort() })).toBe(false);
  expect((await left()).completions).toEqual(EDGES);
  expect(await deleteOldRows(pool, { ...options, months: 1 })).toBe(true);
  expect(await deleteOldRows(pool, { ...options, months: 1 })).toBe(true);
  expect((await left()).completions).toEqual(EDGES.slice(5));
});
