import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished } from 'vitest';
import { SpendingPoster } from '../../../src/gateway/allowances/post-spending.ts';
import { latencySlot } from '../../../src/gateway/ledger/histogram.ts';
import type {
  AttemptOutcome,
  CompletionOrigin,
  CompletionOutcome,
  Hold,
  Intent,
  Settlement,
} from '../../../src/gateway/ledger/records.ts';
import { SeriesIds } from '../../../src/gateway/ledger/series.ts';
import type { Decision } from '../../../src/gateway/routing/decision.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { createLog } from '../../../src/platform/log.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { createDatabase } from '../../kit/database.ts';

/** The provider of all attempts. */
export const PROVIDER = uuidv7();

/** A folder that the test's end removes. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'signalbox-ledger-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A log whose entries the test can look at. */
export function recordedLog() {
  const entries: { level: string; msg: string }[] = [];
  const log = createLog({ logLevel: 'info' }, { write: (line) => entries.push(JSON.parse(line)) });
  return { log, entries };
}

export function intent(changes: Partial<Intent> = {}, origin: Partial<Intent['origin']> = {}): Intent {
  const startedAt = changes.startedAt ?? Date.now();
  return {
    origin: {
      completionId: uuidv7(),
      startedAt,
      door: 'OPENAI',
      operation: 'CHAT',
      isStreamed: true,
      userId: null,
      apiKeyId: null,
      routeId: null,
      routeSlug: 'default',
      requestedModel: 'default',
      configVersion: 1n,
      decision: null,
      tags: { team: 'rail' },
      ...origin,
    },
    attemptId: uuidv7(),
    number: 1,
    startedAt,
    providerId: PROVIDER,
    providerSlug: 'sandbox',
    providerKeyId: null,
    targetId: null,
    usedOwnKey: false,
    model: 'sandbox-small',
    priceVersionId: null,
    estimate: { inputTokens: 11, cost: picodollars(1_100n) },
    maxLiability: picodollars(9_900n),
    hold: null,
    ...changes,
  };
}

export function outcome(changes: Partial<AttemptOutcome> = {}): AttemptOutcome {
  return {
    status: 'SUCCEEDED',
    finishedAt: Date.now(),
    upstreamStatus: 200,
    answeredModel: 'sandbox-small-1',
    finishReason: 'stop',
    errorCode: null,
    errorMessage: null,
    usage: {
      inputTokens: 10,
      outputTokens: 20,
      cachedTokens: 4,
      cacheWriteTokens: null,
      cacheWrite1hTokens: null,
      reasoningTokens: 3,
    },
    isEstimated: false,
    cost: picodollars(3_000n),
    costSource: 'PRICED',
    priceVersionId: null,
    latencyMs: 120,
    timeToFirstTokenMs: 15,
    ...changes,
  };
}

/** The settlement of an only attempt: the completion ends like it. */
export function settlement(
  of: Intent,
  changes: Partial<AttemptOutcome> = {},
  completion: Partial<CompletionOutcome> = {},
): Settlement {
  const attempt = outcome(changes);
  const { upstreamStatus: _, answeredModel, costSource: __, priceVersionId: ___, ...same } = attempt;
  const { providerId, providerSlug, model, targetId } = of;
  return {
    intent: of,
    attempt,
    completion: {
      ...same,
      ...{ providerId, providerSlug, model: answeredModel ?? model, targetId, isCached: false, warnings: [] },
      ...completion,
    },
  };
}

/** A completion that was answered from a cache. */
export function cached(
  origin: Partial<CompletionOrigin> = {},
  changes: Partial<CompletionOutcome> = {},
): { origin: CompletionOrigin; outcome: CompletionOutcome } {
  const { completion, intent: of } = settlement(intent({}, origin));
  if (!completion) throw new Error('It has ended.');
  return { origin: of.origin, outcome: { ...completion, isCached: true, cost: picodollars(0n), ...changes } };
}

export const HOLD: Hold = { holderId: uuidv7(), allowanceIds: [uuidv7(), uuidv7()], amount: picodollars(7_000n) };

export const DECISION: Decision = {
  candidates: 'c'.repeat(64),
  health: 'h'.repeat(64),
  at: 1_796_000_000_123,
  turn: 2 ** 40,
  slot: null,
  modelTurns: [3, 0],
  plan: [4, 0, 3],
};

export interface LedgerDatabase {
  connection: pg.ClientConfig;
  clusterId: string;
  /** What `query` uses. */
  client: pg.Client;
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
}

/** A database of its own for this test. */
export async function ledgerDatabase(): Promise<LedgerDatabase> {
  const database = await createDatabase();
  const { connection } = database;
  const client = new pg.Client(connection);
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await database.drop();
  });
  const query: LedgerDatabase['query'] = async <Row extends pg.QueryResultRow>(sql: string, values?: unknown[]) =>
    (await client.query<Row>(sql, values)).rows;
  const [configuration] = await query<{ cluster_id: string }>('SELECT cluster_id FROM configuration');
  return { connection, clusterId: configuration?.cluster_id ?? '', client, query };
}

/** The sums that roll-ups of completions must have, from the rows, beside those that they have, for each grain. */
export async function ledgerSums({ query }: LedgerDatabase) {
  const sums = `count(*) AS requests, sum(input_tokens) AS input, sum(output_tokens) AS output, coalesce(sum(cached_tokens), 0) AS cached,
    coalesce(sum(reasoning_tokens), 0) AS reasoning, coalesce(sum(cost), 0) AS cost, sum(latency_ms) AS latency,
    count(*) FILTER (WHERE cost IS NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)) AS unpriced,
    coalesce(sum(time_to_first_token_ms), 0) AS first_token, count(time_to_first_token_ms) AS timed`;
  const [rows] = await query(`SELECT ${sums} FROM completions`);
  const rollups = await query(`
    SELECT sum(requests) AS requests, sum(input_tokens) AS input, sum(output_tokens) AS output,
      sum(cached_tokens) AS cached, sum(reasoning_tokens) AS reasoning, sum(cost) AS cost, sum(latency_ms) AS latency,
      sum(unpriced) AS unpriced, sum(time_to_first_token_ms) AS first_token, sum(timed_first_tokens) AS timed
    FROM rollups JOIN rollup_series series ON series.id = series_id WHERE subject = 'COMPLETION'
    GROUP BY grain ORDER BY grain`);
  const latencies = await query(`
    SELECT sum(count) AS requests FROM rollup_latencies JOIN rollup_series series ON series.id = series_id
    WHERE subject = 'COMPLETION' GROUP BY grain`);
  return { rows: rows ?? {}, rollups, latencies: latencies.map(({ requests }) => requests) };
}

const DIMENSIONS = 'subject, status, user_id, api_key_id, route_id, provider_id, provider_slug, model, target_id';

/** What the drain has to fold: completions, and attempts with the owner and the time of their completion. */
const ENTRIES = `
  SELECT 'COMPLETION'::"RollupSubject" AS subject, status, user_id, api_key_id, route_id, provider_id, provider_slug,
    model, target_id, started_at, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, latency_ms,
    time_to_first_token_ms FROM completions
  UNION ALL
  SELECT 'ATTEMPT', a.status, c.user_id, c.api_key_id, c.route_id, a.provider_id, a.provider_slug,
    coalesce(a.answered_model, a.model), a.target_id, c.started_at, a.input_tokens, a.output_tokens, a.cached_tokens,
    a.reasoning_tokens, a.cost, a.latency_ms, a.time_to_first_token_ms
  FROM attempts a JOIN completions c ON c.id = a.completion_id`;

/**
 * Expects the roll-ups of both subjects to be what the rows sum up to: in every bucket of both grains, for every
 * combination of what they are grouped by, with every latency in its slot.
 */
export async function expectRollups({ query }: Pick<LedgerDatabase, 'query'>): Promise<void> {
  const expected = await query(`
    SELECT grain::text, date_trunc(grain, started_at, 'UTC') AS bucket, ${DIMENSIONS}, count(*) AS requests,
      coalesce(sum(input_tokens), 0) AS input, coalesce(sum(output_tokens), 0) AS output,
      coalesce(sum(cached_tokens), 0) AS cached, coalesce(sum(reasoning_tokens), 0) AS reasoning,
      coalesce(sum(cost), 0) AS cost, sum(latency_ms) AS latency, coalesce(sum(time_to_first_token_ms), 0) AS first_token,
      count(*) FILTER (WHERE cost IS NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)) AS unpriced,
      count(time_to_first_token_ms) AS timed, json_agg(latency_ms) AS latencies
    FROM (${ENTRIES}) entries, (VALUES ('MINUTE'), ('HOUR')) AS grains (grain) GROUP BY 1, 2, ${DIMENSIONS}`);
  const actual = await query(`
    SELECT grain::text, bucket, ${DIMENSIONS}, sum(requests) AS requests,
      sum(input_tokens) AS input, sum(output_tokens) AS output, sum(cached_tokens) AS cached,
      sum(reasoning_tokens) AS reasoning, sum(cost) AS cost, sum(latency_ms) AS latency,
      sum(time_to_first_token_ms) AS first_token, sum(unpriced) AS unpriced, sum(timed_first_tokens) AS timed,
      (SELECT json_object_agg(slot, count) FROM (
         SELECT slot, sum(count) AS count FROM rollup_latencies l
         WHERE l.grain = r.grain AND l.bucket = r.bucket AND l.series_id = ANY(array_agg(r.series_id)) GROUP BY slot
       ) slots) AS slots
    FROM rollups r JOIN rollup_series series ON series.id = r.series_id GROUP BY r.grain, bucket, ${DIMENSIONS}`);
  const withSlots = expected.map(({ latencies, ...sums }) => {
    const slots: Record<number, number> = {};
    for (const slot of (latencies as number[]).map(latencySlot)) slots[slot] = (slots[slot] ?? 0) + 1;
    return { ...sums, slots };
  });
  const inOrder = (rows: object[]) => rows.map((row) => JSON.stringify(Object.entries(row).sort())).sort();
  expect(inOrder(actual)).toEqual(inOrder(withSlots));
}

/** A way to Postgres that the test can cut. */
export async function cuttableConnection(connection: pg.ClientConfig) {
  const sockets = new Set<Socket>();
  const state = { isAway: false, cutAtCommit: false, cuts: 0 };
  const host = connection.host ?? '127.0.0.1';
  const port = connection.port ?? 5432;
  const server = createServer((client) => {
    if (state.isAway) return void client.destroy();
    const upstream = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(Number(port), host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => {
      upstream.write(bytes);
      if (!state.cutAtCommit || !bytes.includes('COMMIT')) return;
      // Postgres commits; its answer never arrives.
      state.cutAtCommit = false;
      state.cuts += 1;
      client.destroy();
      upstream.unpipe(client);
    });
    upstream.pipe(client);
    client.on('close', () => setTimeout(() => upstream.destroy(), 200));
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return {
    connection: { ...connection, host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    state,
    goAway() {
      state.isAway = true;
      cut();
    },
    comeBack() {
      state.isAway = false;
    },
  };
}

/** What a drain keeps from batch to batch. */
export function totals(series = new SeriesIds()): { series: SeriesIds; spending: SpendingPoster } {
  return { series, spending: new SpendingPoster('UTC') };
}
