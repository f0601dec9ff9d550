import { spawn } from 'node:child_process';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type LedgerOptions, openLedger } from '../../../src/gateway/ledger/ledger.ts';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { until } from '../../kit/eventually.ts';
import {
  cached,
  cuttableConnection,
  DECISION,
  expectRollups,
  folder,
  intent,
  type LedgerDatabase,
  ledgerDatabase,
  ledgerSums,
  outcome,
  recordedLog,
  settlement,
} from './kit.ts';

function optionsFor(database: LedgerDatabase, changes: Partial<LedgerOptions> = {}): LedgerOptions {
  const { connection, clusterId } = database;
  const { log } = recordedLog();
  return {
    directory: folder(),
    serverId: 'server-1',
    clusterId,
    connection,
    fsync: false,
    maxBytes: 1 << 30,
    timeZone: 'UTC',
    log,
    ...changes,
  };
}

async function open(options: LedgerOptions) {
  const ledger = await openLedger(options);
  onTestFinished(async () => {
    await ledger.close({ timeoutMs: 100 });
  });
  return ledger;
}

/** Leaves the journal as a killed process would: with these records, and not drained. */
async function leave(options: LedgerOptions, write: (ledger: Awaited<ReturnType<typeof openLedger>>) => Promise<void>) {
  const way = await cuttableConnection(options.connection);
  const ledger = await openLedger({ ...options, connection: way.connection });
  way.goAway();
  await write(ledger);
  expect(await ledger.close({ timeoutMs: 1 })).toEqual({ drained: false });
}

describe('the ledger', () => {
  it.each([false, true])('has in Postgres what was settled, and says so (fsync %s)', async (fsync) => {
    const database = await ledgerDatabase();
    const ledger = await open(optionsFor(database, { fsync }));
    const committed: bigint[] = [];
    ledger.onCommitted((seq) => committed.push(seq));
    expect(ledger.status()).toMatchObject({ lastSeq: 0n, lastError: null });
    const intents = Array.from({ length: 100 }, () => intent());
    await Promise.all(intents.map((record) => ledger.intend(record)));
    await Promise.all(intents.map((record) => ledger.settle(settlement(record))));
    await ledger.drained();
    expect(ledger.status()).toMatchObject({ pendingBytes: 0, lastSeq: 100n, lastError: null });
    expect(ledger.status().drainedAt).toBeInstanceOf(Date);
    expect(committed.at(-1)).toBe(100n);
    expect(await database.query('SELECT count(*)::int AS count FROM completions')).toEqual([{ count: 100 }]);
    expect(await ledger.close()).toEqual({ drained: true });
    await expect(ledger.intend(intent())).rejects.toMatchObject({ code: 'OVERLOADED' });
  });

  it('tells other connections each new seq', async () => {
    const database = await ledgerDatabase();
    await database.query('LISTEN signalbox_ledger');
    const heard: string[] = [];
    database.client.on('notification', ({ payload }) => heard.push(payload ?? ''));
    const ledger = await open(optionsFor(database));
    const record = intent();
    await ledger.intend(record);
    await ledger.settle(settlement(record));
    await until(() => heard.length > 0);
    expect(heard).toEqual(['1']);
  });

  it('makes INDETERMINATE what a stopped server left open, with the estimate posted and the liability kept', async () => {
    const database = await ledgerDatabase();
    const options = optionsFor(database);
    const startedAt = Date.now() - 5000;
    const running = intent({ startedAt });
    const failedOver = [intent({ startedAt }), intent({ number: 2, startedAt: startedAt + 100 })] as const;
    const second = { ...failedOver[1], origin: failedOver[0].origin };
    const between = intent({ startedAt });
    const done = intent({ startedAt });
    const failure = outcome({ status: 'FAILED', errorCode: 'UPSTREAM', finishedAt: startedAt + 100, latencyMs: 100 });
    await leave(options, async (ledger) => {
      await Promise.all([running, failedOver[0], between, done].map((record) => ledger.intend(record)));
      await ledger.settle({ intent: failedOver[0], attempt: failure, completion: null });
      await ledger.intend(second);
      await ledger.settle({ intent: between, attempt: failure, completion: null });
      await ledger.settle(settlement(done, { finishedAt: startedAt + 3000 }));
    });
    const ledger = await open(options);
    await ledger.drained();
    const row = async (id: string) => (await database.query('SELECT * FROM completions WHERE id = $1', [id]))[0];
    expect(await row(running.origin.completionId)).toMatchObject({
      status: 'INDETERMINATE',
      error_code: 'INTERNAL',
      input_tokens: 11,
      output_tokens: 0,
      is_estimated: true,
      cost: '1100',
      attempt_count: 1,
      model: 'sandbox-small',
      // It was last seen alive when the other one finished.
      latency_ms: 3000,
      finished_at: new Date(startedAt + 3000),
    });
    expect(await row(failedOver[0].origin.completionId)).toMatchObject({
      status: 'INDETERMINATE',
      input_tokens: 21,
      output_tokens: 20,
      cost: '4100',
      attempt_count: 2,
    });
    expect(await row(between.origin.completionId)).toMatchObject({
      status: 'INDETERMINATE',
      is_estimated: false,
      input_tokens: 10,
      cost: '3000',
      attempt_count: 1,
      model: 'sandbox-small-1',
    });
    expect(await row(done.origin.completionId)).toMatchObject({ status: 'SUCCEEDED' });
    const attempts = 'SELECT id, status, cost, max_liability FROM attempts WHERE status = $1 ORDER BY started_at, id';
    expect(await database.query(attempts, ['INDETERMINATE'])).toEqual([
      { id: running.attemptId, status: 'INDETERMINATE', cost: '1100', max_liability: '9900' },
      { id: second.attemptId, status: 'INDETERMINATE', cost: '1100', max_liability: '9900' },
    ]);
    expect(await database.query('SELECT count(*)::int AS count FROM attempts')).toEqual([{ count: 5 }]);
  });

  it('has the price of what a stopped server left open, also when only the journal knew it', async () => {
    const database = await ledgerDatabase();
    const options = optionsFor(database);
    const price = priceVersion({ input: 100, output: 200, tiers: [{ above: 200_000, input: 200, output: 300 }] });
    const running = intent({ priceVersionId: price.id });
    await leave(options, (ledger) => ledger.intend(running, price));
    await (await open(options)).drained();
    const [row] = await database.query(`
      SELECT input_tokens, output_tokens, cost, cost_source, components
      FROM attempts JOIN price_versions p ON p.id = price_version_id`);
    // 11 estimated tokens at 100 picodollars.
    expect(row).toEqual({
      ...{ input_tokens: 11, output_tokens: 0, cost: '1100', cost_source: 'PRICED' },
      components: price.components,
    });
  });

  it('has what a stopped server answered from a cache, and the facts it had written, and closes only the rest', async () => {
    const database = await ledgerDatabase();
    const options = optionsFor(database);
    const startedAt = Date.now() - 5000;
    const targetId = uuidv7();
    const hit = cached({ startedAt, decision: DECISION }, { finishedAt: startedAt + 3000 });
    const running = intent({ startedAt, targetId }, { decision: DECISION });
    await leave(options, async (ledger) => {
      expect(ledger.record({ id: DECISION.candidates, content: [1] })).toBe(true);
      await ledger.intend(running);
      await ledger.complete(hit.origin, hit.outcome);
    });
    await (await open(options)).drained();
    const rows = await database.query(
      'SELECT id, status, target_id, decision, is_cached, finished_at FROM completions ORDER BY is_cached',
    );
    const finished_at = new Date(startedAt + 3000);
    expect(rows).toEqual([
      {
        ...{ id: running.origin.completionId, status: 'INDETERMINATE', target_id: targetId, decision: DECISION },
        // It was last seen alive when it answered from the cache.
        ...{ is_cached: false, finished_at },
      },
      {
        ...{ id: hit.origin.completionId, status: 'SUCCEEDED', target_id: null, decision: DECISION },
        ...{ is_cached: true, finished_at },
      },
    ]);
    expect(await database.query('SELECT status, target_id FROM attempts')).toEqual([
      { status: 'INDETERMINATE', target_id: targetId },
    ]);
    expect(await database.query('SELECT id, content FROM routing_facts')).toEqual([
      { id: DECISION.candidates, content: [1] },
    ]);
    await expectRollups(database);
  });

  it('keeps an unknown cost unknown when a server stops', async () => {
    const database = await ledgerDatabase();
    const options = optionsFor(database);
    const unpriced = intent({ estimate: { inputTokens: 11, cost: null }, maxLiability: null });
    await leave(options, (ledger) => ledger.intend(unpriced));
    await (await open(options)).drained();
    expect(await database.query('SELECT cost, input_tokens FROM completions')).toEqual([
      { cost: null, input_tokens: 11 },
    ]);
    const unpricedSums = 'SELECT grain, sum(unpriced)::int AS unpriced FROM rollups GROUP BY 1 ORDER BY 1';
    // The completion and its attempt.
    expect(await database.query(unpricedSums)).toEqual([
      { grain: 'MINUTE', unpriced: 2 },
      { grain: 'HOUR', unpriced: 2 },
    ]);
  });

  it('refuses to drain into another database', async () => {
    const database = await ledgerDatabase();
    const options = optionsFor(database);
    await (await openLedger(options)).close();
    const other = await ledgerDatabase();
    await expect(openLedger({ ...options, connection: other.connection, clusterId: other.clusterId })).rejects.toThrow(
      `belongs to the database with cluster id ${database.clusterId}`,
    );
  });

  it('takes completions while Postgres is away, says so, and catches up', async () => {
    const database = await ledgerDatabase();
    const way = await cuttableConnection(database.connection);
    const ledger = await open(optionsFor(database, { connection: way.connection }));
    await ledger.drained();
    way.goAway();
    const intents = Array.from({ length: 50 }, () => intent());
    await Promise.all(intents.map((record) => ledger.intend(record)));
    await Promise.all(intents.map((record) => ledger.settle(settlement(record))));
    await until(() => ledger.status().lastError !== null);
    expect(ledger.status().pendingBytes).toBeGreaterThan(10_000);
    way.comeBack();
    await ledger.drained();
    expect(ledger.status()).toMatchObject({ pendingBytes: 0, lastSeq: 50n, lastError: null });
  });

  it('starts the drain again when its thread dies, and writes nothing twice', async () => {
    const database = await ledgerDatabase();
    const workers: Worker[] = [];
    const remember = (worker: Worker) => void workers.push(worker);
    process.on('worker', remember);
    onTestFinished(() => void process.off('worker', remember));
    const ledger = await open(optionsFor(database));
    let written = 0;
    for (let round = 1; round <= 3; round += 1) {
      const intents = Array.from({ length: 2000 }, () => intent());
      await Promise.all(intents.map((record) => ledger.intend(record)));
      await Promise.all(intents.map((record) => ledger.settle(settlement(record, { cost: picodollars(1n) }))));
      written += intents.length;
      await new Promise((resolve) => setTimeout(resolve, 60 * round));
      await workers.at(-1)?.terminate();
      await until(() => workers.length > round);
    }
    await ledger.drained();
    const sums = await ledgerSums(database);
    expect(sums.rows).toMatchObject({ requests: `${written}`, cost: `${written}` });
    expect(sums.rollups).toEqual([sums.rows, sums.rows]);
    await expectRollups(database);
    expect(await database.query('SELECT max(seq)::int, min(seq)::int FROM completions')).toEqual([
      { max: written, min: 1 },
    ]);
  });

  it('has every dispatched attempt and every finished completion once, however often the server is killed', async () => {
    const database = await ledgerDatabase();
    const options = optionsFor(database);
    const { directory, serverId, clusterId, connection } = options;
    const said = { dispatched: new Set<string>(), settled: new Set<string>(), finished: new Set<string>() };
    for (let round = 0; round < 8; round += 1) {
      const argument = JSON.stringify({ directory, serverId, clusterId, connection, fsync: round % 4 === 3 });
      const writer = new URL('./writer.mjs', import.meta.url).pathname;
      const child = spawn(process.execPath, [writer, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.on('data', (bytes) => {
        output += bytes;
      });
      const exited = new Promise((resolve) => child.on('close', resolve));
      // Every other one is killed as it starts, at the latest in its recovery.
      if (round % 2 === 0) await until(() => output.includes('started'));
      await new Promise((resolve) =>
        setTimeout(resolve, round % 2 === 0 ? Math.random() * 400 : 100 + Math.random() * 200),
      );
      child.kill('SIGKILL');
      await exited;
      // A last line without its end was confirmed, too, but not all of it was said.
      for (const line of output.split('\n').slice(0, -1)) {
        const [kind, id] = line.split(' ');
        if (kind && id) said[kind as keyof typeof said].add(id);
      }
    }
    const ledger = await open(options);
    await ledger.drained();
    const attempts = await database.query<{ id: string; status: string }>('SELECT id, status FROM attempts');
    const completions = await database.query<{ id: string; status: string }>('SELECT id, status FROM completions');
    const statuses = new Map([...attempts, ...completions].map(({ id, status }) => [id, status]));
    expect(said.finished.size).toBeGreaterThan(100);
    expect([...said.dispatched].filter((id) => !statuses.has(id))).toEqual([]);
    expect([...said.settled].filter((id) => statuses.get(id) === 'INDETERMINATE')).toEqual([]);
    expect([...said.finished].filter((id) => statuses.get(id) !== 'SUCCEEDED')).toEqual([]);
    expect(completions.some(({ status }) => status === 'INDETERMINATE')).toBe(true);
    const sums = await ledgerSums(database);
    expect(sums.rollups).toEqual([sums.rows, sums.rows]);
    await expectRollups(database);
    const mismatched = await database.query(`
      SELECT completion.id FROM completions completion
      LEFT JOIN (SELECT completion_id, count(*) AS count, sum(cost) AS cost FROM attempts GROUP BY 1) attempts
        ON attempts.completion_id = completion.id
      WHERE coalesce(attempts.count, 0) IS DISTINCT FROM completion.attempt_count
        OR coalesce(attempts.cost, 0) IS DISTINCT FROM completion.cost`);
    expect(mismatched).toEqual([]);
    expect(await database.query('SELECT id FROM completions WHERE is_cached <> (attempt_count = 0)')).toEqual([]);
    const unexplained = `
      SELECT c.id FROM completions c LEFT JOIN routing_facts f ON f.id = c.decision->>'candidates' WHERE f.id IS NULL`;
    expect(await database.query(unexplained)).toEqual([]);
    const [hits] = await database.query('SELECT count(*)::int AS count FROM completions WHERE is_cached');
    expect(hits?.count).toBeGreaterThan(10);
    const prices = `
      SELECT count(DISTINCT price_version_id)::int AS named, count(DISTINCT p.id)::int AS known
      FROM attempts LEFT JOIN price_versions p ON p.id = price_version_id`;
    expect(await database.query(prices)).toEqual([{ named: 3, known: 3 }]);
    const [order] = await database.query(
      'SELECT count(*)::int, max(seq)::int AS last, count(DISTINCT seq)::int AS seqs, (SELECT seq::int FROM ledger_head) AS head FROM completions',
    );
    const { length } = completions;
    expect(order).toEqual({ count: length, last: length, seqs: length, head: length });
  });
});
