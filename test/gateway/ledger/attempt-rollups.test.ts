import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { latencySlot } from '../../../src/gateway/ledger/histogram.ts';
import { type Batch, postBatch } from '../../../src/gateway/ledger/post.ts';
import {
  ATTEMPT_COLUMNS,
  attemptRow,
  COMPLETION_COLUMNS,
  completionRow,
  insertRows,
} from '../../../src/gateway/ledger/rows.ts';
import { SeriesIds } from '../../../src/gateway/ledger/series.ts';
import { migrate } from '../../../src/platform/database/migrate.ts';
import { readMigrationLock, readMigrations } from '../../../src/platform/database/migration-files.ts';
import { applyMigrations } from '../../../src/platform/database/schema-engine.ts';
import { createDatabase } from '../../kit/database.ts';
import { expectRollups, ledgerDatabase, PROVIDER, recordedLog, totals } from './kit.ts';
import { type JournaledCompletion, randomCompletions } from './random-completions.ts';

function batchOf(completions: readonly JournaledCompletion[]): Omit<Batch, 'position'> {
  return {
    attempts: completions.flatMap(({ settlements }) =>
      settlements.map(({ intent, attempt }) => ({ intent, outcome: attempt })),
    ),
    completions: completions.flatMap(({ intents, settlements }) =>
      settlements.flatMap(({ intent, completion }) =>
        completion ? [{ origin: intent.origin, outcome: completion, attemptCount: intents.length }] : [],
      ),
    ),
    prices: [],
    facts: [],
  };
}

/** A database as the first version left it, with an open connection. */
async function firstVersion() {
  const database = await createDatabase({ isEmpty: true });
  const [init] = await readMigrations();
  if (!init) throw new Error('There are no migrations.');
  await applyMigrations(database.connection, [init], await readMigrationLock(), true);
  const client = new pg.Client(database.connection);
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await database.drop();
  });
  const query = async <Row extends pg.QueryResultRow>(sql: string, values?: unknown[]) =>
    (await client.query<Row>(sql, values)).rows;
  return { connection: database.connection, client, query };
}

/** Roll-ups of completions as the first version made them. */
const FIRST_SERIES = `
  INSERT INTO rollup_series (key, status, user_id, api_key_id, route_id, provider_slug, model)
  SELECT gen_random_uuid()::text, status, user_id, api_key_id, route_id, provider_slug, model
  FROM completions GROUP BY 2, 3, 4, 5, 6, 7`;
const OF_SERIES = `c.status = s.status AND c.user_id IS NOT DISTINCT FROM s.user_id AND c.model = s.model`;
const FIRST_ROLLUPS = `
  INSERT INTO rollups
  SELECT grain::"RollupGrain", date_trunc(grain, started_at, 'UTC'), s.id, count(*), coalesce(sum(input_tokens), 0),
    coalesce(sum(output_tokens), 0), coalesce(sum(cached_tokens), 0), coalesce(sum(reasoning_tokens), 0),
    coalesce(sum(cost), 0), count(*) FILTER (WHERE cost IS NULL AND input_tokens IS NOT NULL), sum(latency_ms),
    coalesce(sum(time_to_first_token_ms), 0), count(time_to_first_token_ms)
  FROM completions c JOIN rollup_series s ON ${OF_SERIES}, (VALUES ('MINUTE'), ('HOUR')) AS grains (grain)
  GROUP BY grain, 2, s.id`;

describe('the roll-ups of attempts', () => {
  it('count each attempt once, in whatever batches it comes and comes again', async () => {
    const database = await ledgerDatabase();
    const series = new SeriesIds();
    const completions = randomCompletions(200, 11);
    const { attempts, completions: ended } = batchOf(completions);
    const post = (batch: Omit<Batch, 'position' | 'prices' | 'facts'>) =>
      postBatch(database.client, 'server-1', totals(series), {
        ...batch,
        prices: [],
        facts: [],
        position: { segment: 1, offset: 1 },
      });
    // Those that failed over come before their completion has ended.
    await post({ attempts: attempts.slice(0, 250), completions: [] });
    expect(await database.query('SELECT DISTINCT subject FROM rollup_series')).toEqual([{ subject: 'ATTEMPT' }]);
    await post({ attempts: attempts.slice(100), completions: ended.slice(0, 150) });
    await post({ attempts, completions: ended });
    await post({ attempts, completions: ended });
    await expectRollups(database);
    const [counts] = await database.query(
      `SELECT sum(requests)::int AS requests FROM rollups JOIN rollup_series s ON s.id = series_id
       WHERE subject = 'ATTEMPT' AND grain = 'HOUR'`,
    );
    expect(counts).toEqual({ requests: attempts.length });
  });

  it('are made from the rows of a database that had none, and go on from there', async () => {
    const { connection, client, query } = await firstVersion();
    await client.query(
      `INSERT INTO providers (id, slug, name, kind, base_url, updated_at) VALUES ($1, 'sandbox', 'Sandbox', 'CUSTOM', '', now())`,
      [PROVIDER],
    );
    const before = batchOf(randomCompletions(300, 12));
    const completions = before.completions.map((completion, index) => completionRow(completion, BigInt(index), 'old'));
    // Of the columns of today, the first version had these.
    const columnsThen = async (table: string, columns: Readonly<Record<string, string>>) => {
      const rows = await query<{ name: string }>(
        `SELECT column_name AS name FROM information_schema.columns WHERE table_name = '${table}'`,
      );
      return Object.fromEntries(rows.flatMap(({ name }) => (columns[name] ? [[name, columns[name]]] : [])));
    };
    await client.query(insertRows('completions', await columnsThen('completions', COMPLETION_COLUMNS)), [
      JSON.stringify(completions),
    ]);
    await client.query(insertRows('attempts', await columnsThen('attempts', ATTEMPT_COLUMNS)), [
      JSON.stringify(before.attempts.map(attemptRow)),
    ]);
    await client.query(FIRST_SERIES);
    await client.query(FIRST_ROLLUPS);
    for (const { id, started_at, latency_ms } of await query(
      `SELECT s.id, started_at, latency_ms FROM completions c JOIN rollup_series s ON ${OF_SERIES}`,
    )) {
      await client.query(
        `INSERT INTO rollup_latencies
         SELECT grain::"RollupGrain", date_trunc(grain, $2::timestamptz, 'UTC'), $1, $3, 1
         FROM (VALUES ('MINUTE'), ('HOUR')) AS grains (grain)
         ON CONFLICT (grain, bucket, series_id, slot) DO UPDATE SET count = rollup_latencies.count + 1`,
        [id, started_at, latencySlot(latency_ms)],
      );
    }

    await migrate(connection, recordedLog().log);
    await expectRollups({ query });
    expect(await query('SELECT DISTINCT provider_id FROM rollup_series')).toEqual([{ provider_id: PROVIDER }]);

    // What was there already is met again by the drain, together with what is new.
    const after = batchOf(randomCompletions(50, 13));
    await postBatch(client, 'server-1', totals(), {
      attempts: [...before.attempts, ...after.attempts],
      completions: [...before.completions, ...after.completions],
      prices: [],
      facts: [],
      position: { segment: 1, offset: 1 },
    });
    await expectRollups({ query });
    const [counts] = await query('SELECT count(*)::int AS attempts FROM attempts');
    const [sums] = await query(
      `SELECT sum(requests)::int AS attempts FROM rollups JOIN rollup_series s ON s.id = series_id
       WHERE subject = 'ATTEMPT' AND grain = 'MINUTE'`,
    );
    expect(sums).toEqual(counts);
  });

  it('are made with the slots that the drain uses, for every latency up to 100 seconds', async () => {
    const { connection, client, query } = await firstVersion();
    await client.query(
      `INSERT INTO attempts (id, completion_id, number, started_at, finished_at, status, provider_id, provider_slug,
         model, is_estimated, latency_ms)
       SELECT gen_random_uuid(), gen_random_uuid(), 1, now(), now(), 'FAILED', $1, 'sandbox', 'm', false, ms
       FROM generate_series(0, 100000) AS ms`,
      [PROVIDER],
    );
    await migrate(connection, recordedLog().log);
    const rows = await query<{ slot: number; count: number }>(
      "SELECT slot, sum(count)::int AS count FROM rollup_latencies WHERE grain = 'HOUR' GROUP BY slot",
    );
    const expected = new Map<number, number>();
    for (let ms = 0; ms <= 100_000; ms++) expected.set(latencySlot(ms), (expected.get(latencySlot(ms)) ?? 0) + 1);
    expect(new Map(rows.map(({ slot, count }) => [slot, count]))).toEqual(expected);
  });
});
