import { closeSync, openSync, writeSync } from 'node:fs';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { encodePrice, encodeSettlement } from '../../../src/gateway/ledger/encode.ts';
import { latencySlot } from '../../../src/gateway/ledger/histogram.ts';
import { postBatch, readState } from '../../../src/gateway/ledger/post.ts';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { listSegments, type Position, segmentPath } from '../../../src/gateway/ledger/segments.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { until } from '../../kit/eventually.ts';
import { expectWhole, server, write } from './drain-kit.ts';
import { cuttableConnection, intent, ledgerDatabase, outcome, settlement, totals } from './kit.ts';
import { attemptsOf, randomCompletions } from './random-completions.ts';

describe('the drain', () => {
  it('writes each member of a completion and of its attempts', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const user = uuidv7();
    const first = intent(
      { startedAt: Date.parse('2026-11-20T10:00:00.123Z'), priceVersionId: 'price-1' },
      { userId: user, apiKeyId: user, routeId: user, tags: { 'it"s': 'ü\\' } },
    );
    const second = { ...intent({ number: 2, model: 'large' }), origin: first.origin };
    node.start();
    await node.intend(first);
    const failed = outcome({
      status: 'FAILED',
      errorCode: 'UPSTREAM',
      errorMessage: 'No.',
      upstreamStatus: 500,
      usage: { ...outcome().usage, cacheWriteTokens: 2, cacheWrite1hTokens: 1 },
      priceVersionId: 'price-1',
    });
    await node.settle({ intent: first, attempt: failed, completion: null });
    await node.intend(second);
    const cost = picodollars(2n ** 53n + 1n);
    await node.settle(settlement(second, { cost }, { cost, warnings: ['a, "b"', '{}'] }));
    await node.drained();
    const [completion] = await database.query('SELECT * FROM completions');
    expect(completion).toMatchObject({
      id: first.origin.completionId,
      seq: '1',
      server_id: node.identity.serverId,
      started_at: new Date('2026-11-20T10:00:00.123Z'),
      status: 'SUCCEEDED',
      door: 'OPENAI',
      operation: 'CHAT',
      is_streamed: true,
      user_id: user,
      api_key_id: user,
      route_id: user,
      route_slug: 'default',
      requested_model: 'default',
      provider_id: second.providerId,
      provider_slug: 'sandbox',
      model: 'sandbox-small-1',
      finish_reason: 'stop',
      error_code: null,
      input_tokens: 10,
      output_tokens: 20,
      cached_tokens: 4,
      reasoning_tokens: 3,
      is_estimated: false,
      cost: '9007199254740993',
      latency_ms: 120,
      time_to_first_token_ms: 15,
      attempt_count: 2,
      config_version: '1',
      tags: first.origin.tags,
      warnings: ['a, "b"', '{}'],
    });
    expect(await database.query('SELECT * FROM attempts ORDER BY number')).toMatchObject([
      {
        id: first.attemptId,
        completion_id: first.origin.completionId,
        number: 1,
        status: 'FAILED',
        upstream_status: 500,
        error_code: 'UPSTREAM',
        error_message: 'No.',
        cache_write_tokens: 2,
        cache_write_1h_tokens: 1,
        price_version_id: 'price-1',
        cost: '3000',
        cost_source: 'PRICED',
        max_liability: '9900',
      },
      { id: second.attemptId, number: 2, model: 'large', answered_model: 'sandbox-small-1', cost: '9007199254740993' },
    ]);
    // The completion and its two attempts, in both grains.
    const slots = 'SELECT slot, sum(count)::int AS count FROM rollup_latencies GROUP BY slot';
    expect(await database.query(slots)).toEqual([{ slot: latencySlot(120), count: 6 }]);
    const series = 'SELECT subject, status, user_id, provider_id, model FROM rollup_series ORDER BY subject, status';
    const of = { user_id: user, provider_id: first.providerId, model: 'sandbox-small-1' };
    expect(await database.query(series)).toEqual([
      { ...of, subject: 'COMPLETION', status: 'SUCCEEDED' },
      { ...of, subject: 'ATTEMPT', status: 'SUCCEEDED' },
      { ...of, subject: 'ATTEMPT', status: 'FAILED' },
    ]);
  });

  it('writes a price no later than the rows that name it, also when it was read long before them', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const price = priceVersion({ input: 3, output: 15, cacheRead: 1 });
    const [early, late] = [intent(), intent({ priceVersionId: price.id })];
    // The price is in a batch that has nothing to post.
    await node.journal.append(encodePrice(price), true);
    await node.intend(late);
    node.start();
    await node.drained();
    expect(await database.query('SELECT id FROM price_versions')).toEqual([]);
    await node.intend(early);
    await node.settle(settlement(late, { priceVersionId: price.id }));
    await node.drained();
    const rows = await database.query(
      'SELECT components FROM attempts JOIN price_versions p ON p.id = price_version_id',
    );
    expect(rows).toEqual([{ components: price.components }]);
    // Once more, as another server would that learns of it by itself.
    await node.journal.append(encodePrice(price), true);
    await node.settle(settlement(early, { priceVersionId: price.id }));
    await node.drained();
    expect(node.errors).toEqual([]);
    expect(await database.query('SELECT count(*)::int AS count FROM price_versions')).toEqual([{ count: 1 }]);
  });

  it('changes nothing when the whole journal is drained again', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const completions = randomCompletions(500, 1);
    await write(node, completions);
    node.start();
    await node.drained();
    await node.stop();
    const rows = await database.query('SELECT * FROM completions ORDER BY seq');
    await database.query('DELETE FROM ledger_positions');
    node.start();
    await node.drained();
    await expectWhole(database, 500, attemptsOf(completions));
    expect(await database.query('SELECT * FROM completions ORDER BY seq')).toEqual(rows);
  });

  it('writes once what was committed without an answer', async () => {
    const database = await ledgerDatabase();
    const way = await cuttableConnection(database.connection);
    const node = await server(database, way.connection);
    node.start();
    const completions = randomCompletions(200, 2);
    for (let index = 0; index < 200; index += 50) {
      way.state.cutAtCommit = true;
      await write(node, completions.slice(index, index + 50));
      await until(() => !way.state.cutAtCommit);
    }
    await node.drained();
    expect(way.state.cuts).toBe(4);
    expect(node.errors.length).toBeGreaterThanOrEqual(4);
    await expectWhole(database, 200, attemptsOf(completions));
  });

  it('catches up once Postgres is back, while completions went on', async () => {
    const database = await ledgerDatabase();
    const way = await cuttableConnection(database.connection);
    const node = await server(database, way.connection);
    node.start();
    const completions = randomCompletions(300, 3);
    await write(node, completions.slice(0, 100));
    await node.drained();
    way.goAway();
    await write(node, completions.slice(100));
    await until(() => node.errors.length >= 3);
    expect(await database.query('SELECT count(*)::int AS count FROM completions')).toEqual([{ count: 100 }]);
    way.comeBack();
    await node.drained();
    await expectWhole(database, 300, attemptsOf(completions));
  });

  it('keeps the stored position before whatever is open, so that a restart meets it again', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    node.start();
    const long = intent();
    const before = node.journal.end;
    await node.intend(long);
    const failed = outcome({ status: 'FAILED', errorCode: 'UPSTREAM' });
    await node.settle({ intent: long, attempt: failed, completion: null });
    await write(node, randomCompletions(20, 4));
    await node.drained();
    const stored = 'SELECT segment::int, "offset"::int FROM ledger_positions';
    expect(await database.query(stored)).toEqual([before]);
    await node.stop();
    node.start();
    const second = { ...intent({ number: 2 }), origin: long.origin };
    await node.intend(second);
    await node.settle(settlement(second));
    await node.drained();
    expect(await database.query(stored)).toEqual([node.journal.end]);
    const [row] = await database.query('SELECT attempt_count, status FROM completions WHERE id = $1', [
      long.origin.completionId,
    ]);
    expect(row).toEqual({ attempt_count: 2, status: 'SUCCEEDED' });
  });

  it('never moves the stored position back, also when a connection that was given up commits late', async () => {
    const database = await ledgerDatabase();
    const post = (position: Position) =>
      postBatch(database.client, 'server-1', totals(), {
        attempts: [],
        completions: [],
        prices: [],
        facts: [],
        position,
      });
    for (const offset of [500, 900, 700]) await post({ segment: 2, offset });
    await post({ segment: 1, offset: 5000 });
    const stored = await readState(database.client, 'server-1');
    expect(stored).toEqual({ seq: 0n, position: { segment: 2, offset: 900 } });
  });

  it('counts only the first settlement of an attempt, and lets the second bring the completion to its end', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    node.start();
    const only = intent();
    await node.intend(only);
    await node.settle({
      intent: only,
      attempt: outcome({ status: 'FAILED', cost: picodollars(5n) }),
      completion: null,
    });
    await node.settle(settlement(only, { status: 'FAILED', cost: picodollars(7n) }, { cost: picodollars(5n) }));
    await node.settle(settlement(only));
    await node.drained();
    expect(await database.query('SELECT cost FROM attempts')).toEqual([{ cost: '5' }]);
    await expectWhole(database, 1, 1);
  });

  it('is not stopped by texts and numbers that Postgres does not take', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    node.start();
    const bad = '\0 \ud800 \\u0000 " \' \u2028';
    const odd = intent(
      { model: bad, providerSlug: bad },
      { requestedModel: bad, routeSlug: bad, tags: { [bad]: bad }, startedAt: -1 },
    );
    await node.intend(odd);
    const usage = { ...outcome().usage, inputTokens: 2 ** 40, outputTokens: Number.NaN };
    const changes = { answeredModel: bad, finishReason: bad, errorMessage: bad, usage, latencyMs: 1e12 };
    await node.settle(settlement(odd, changes, { warnings: [bad], providerId: 'not-a-uuid' }));
    await write(node, randomCompletions(5, 5));
    await node.drained();
    expect(node.errors).toEqual([]);
    const [row] = await database.query('SELECT * FROM completions ORDER BY seq LIMIT 1');
    const clean = '\ufffd \ufffd \\u0000 " \' \u2028';
    expect(row).toMatchObject({
      model: clean,
      tags: { [clean]: clean },
      warnings: [clean],
      provider_id: odd.providerId,
    });
  });

  it('loses nothing of what it read ahead when the connection breaks', async () => {
    const database = await ledgerDatabase();
    const way = await cuttableConnection(database.connection);
    const node = await server(database, way.connection);
    const completions = randomCompletions(2_000, 8);
    await write(node, completions);
    way.state.cutAtCommit = true;
    node.start();
    await node.drained();
    expect(way.state.cuts).toBe(1);
    await expectWhole(database, 2_000, attemptsOf(completions));
  });

  it('writes what comes before a damaged record that it met while reading ahead', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    // Two records each: all but the last of them fill a batch.
    for (let index = 0; index < 1_001; index += 1) {
      const record = intent();
      void node.intend(record);
      await node.settle(settlement(record));
    }
    const { segment, offset } = node.journal.end;
    const file = openSync(segmentPath(node.directory, segment), 'r+');
    writeSync(file, '#', offset - 5);
    closeSync(file);
    node.start();
    await until(() => node.errors.length > 0);
    expect(node.errors[0]).toContain('is damaged at offset');
    expect(await database.query('SELECT count(*)::int AS count FROM completions')).toEqual([{ count: 1_000 }]);
  });

  it('deletes the segments that lie behind the stored position', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const filler = intent({}, { completionId: uuidv7() });
    await node.intend(filler);
    const payload = encodeSettlement({ ...settlement(intent()) }).padEnd(1_000_000, ' ');
    for (let index = 0; index < 70; index += 1) await node.journal.append(payload, false);
    expect(listSegments(node.directory)).toEqual([1, 2]);
    node.start();
    await node.drained();
    expect(listSegments(node.directory)).toEqual([1, 2]);
    await node.settle(settlement(filler));
    await node.drained();
    expect(listSegments(node.directory)).toEqual([2]);
    await expectWhole(database, 1, 1);
  });

  it('gives two servers and a reader one order: no row missed, none repeated, roll-ups equal to the rows', async () => {
    const database = await ledgerDatabase();
    const nodes = await Promise.all([server(database), server(database)]);
    const loads = [randomCompletions(3000, 6), randomCompletions(3000, 7)];
    const seen: { id: string; seq: number }[] = [];
    let isWriting = true;
    const reader = (async () => {
      const client = new pg.Client(database.connection);
      await client.connect();
      for (let isLast = false; ; ) {
        const after = seen.at(-1)?.seq ?? 0;
        const { rows } = await client.query('SELECT id, seq::int FROM completions WHERE seq > $1 ORDER BY seq', [
          after,
        ]);
        seen.push(...rows);
        if (isLast) break;
        isLast = !isWriting;
      }
      await client.end();
    })();
    for (const node of nodes) node.start();
    await Promise.all(nodes.map((node, index) => write(node, loads[index] ?? [])));
    await Promise.all(nodes.map((node) => node.drained()));
    isWriting = false;
    await reader;
    expect(seen.map(({ seq }) => seq)).toEqual(Array.from({ length: 6000 }, (_, index) => index + 1));
    expect(new Set(seen.map(({ id }) => id)).size).toBe(6000);
    for (const node of nodes) expect(node.errors).toEqual([]);
    await expectWhole(database, 6000, attemptsOf(loads.flat()));
    const groups = await database.query(
      'SELECT subject, count(*)::int AS count FROM rollup_series GROUP BY 1 ORDER BY 1',
    );
    // 3 people and 3 variants on each server, of which nobody and none are the same; 3 statuses, 2 models. For attempts
    // also the failures before, with 1 model.
    expect(groups).toEqual([
      { subject: 'COMPLETION', count: 17 * 6 },
      { subject: 'ATTEMPT', count: 17 * 7 },
    ]);
  });
});
