import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { AttemptOutcome, CompletionOutcome, Intent, Settlement } from '../../../src/gateway/ledger/records.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { createLog } from '../../../src/platform/log.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { createDatabase } from '../../kit/database.ts';

const PROVIDER = uuidv7();

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

/** Resolves once a condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('The condition did not come true in time.');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function intent(changes: Partial<Intent> = {}, origin: Partial<Intent['origin']> = {}): Intent {
  const startedAt = changes.startedAt ?? Date.now();
  return {
    origin: {
      completionId: uuidv7(),
      startedAt,
      door: 'OPENAI',
      isStreamed: true,
      userId: null,
      apiKeyId: null,
      routeId: null,
      routeSlug: 'default',
      requestedModel: 'default',
      configVersion: 1n,
      tags: { team: 'rail' },
      ...origin,
    },
    attemptId: uuidv7(),
    number: 1,
    startedAt,
    providerId: PROVIDER,
    providerSlug: 'sandbox',
    providerKeyId: null,
    model: 'sandbox-small',
    priceVersionId: null,
    estimate: { inputTokens: 11, cost: picodollars(1_100n) },
    maxLiability: picodollars(9_900n),
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
    usage: { inputTokens: 10, outputTokens: 20, cachedTokens: 4, cacheWriteTokens: null, reasoningTokens: 3 },
    isEstimated: false,
    cost: picodollars(3_000n),
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
  const { upstreamStatus: _, answeredModel, ...same } = attempt;
  const { providerId, providerSlug, model } = of;
  return {
    intent: of,
    attempt,
    completion: { ...same, providerId, providerSlug, model: answeredModel ?? model, warnings: [], ...completion },
  };
}

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

/** The sums that roll-ups must have, from the rows, beside those that they have. Equal when every grain agrees. */
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
    FROM rollups GROUP BY grain ORDER BY grain`);
  const latencies = await query('SELECT sum(count) AS requests FROM rollup_latencies GROUP BY grain');
  return { rows: rows ?? {}, rollups, latencies: latencies.map(({ requests }) => requests) };
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
