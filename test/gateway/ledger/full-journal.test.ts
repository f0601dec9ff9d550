import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Backlog } from '../../../src/gateway/ledger/backlog.ts';
import type { Position } from '../../../src/gateway/ledger/segments.ts';
import { eventually } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { folder, recordedLog } from './kit.ts';

const MAX_BYTES = 20_000;

describe('a journal that Postgres does not take', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ journalMaxBytes: MAX_BYTES });
  });
  afterAll(() => server.close());

  async function send(body: object) {
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'sandbox/sandbox-small', messages: [{ role: 'user', content: 'Hello' }], ...body }),
    });
    return { status: response.status, retryAfter: response.headers.get('retry-after'), text: await response.text() };
  }
  const health = async () => (await fetch(`${server.url}/health`)).json();
  const rows = async (sql: string) => (await server.services.pool.query(sql)).rows;

  /** Holds what every batch of the drain needs first. */
  async function holdDrain() {
    const client = new pg.Client(server.connection);
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT seq FROM ledger_head FOR UPDATE');
    let isHeld = true;
    const release = async () => {
      if (isHeld) await client.end();
      isHeld = false;
    };
    onTestFinished(release);
    return release;
  }

  it('refuses new completions with what to do, ends those that run, and recovers by itself', async () => {
    const release = await holdDrain();
    const running = send({ stream: true, sandbox: { outputTokens: 60, tokensPerSecond: 30 } });
    await eventually(() => expect(server.services.gateway.running).toBe(1));
    let answered = 0;
    let refused = await send({});
    for (; refused.status === 200 && answered < 100; refused = await send({})) answered += 1;
    expect(answered).toBeGreaterThan(5);
    expect(refused).toMatchObject({ status: 503, retryAfter: '5' });
    expect(JSON.parse(refused.text)).toMatchObject({
      error: { code: 'overloaded', message: expect.stringMatching(/^The journal is full: .*JOURNAL_MAX_MIB\.$/) },
    });
    expect(await running).toMatchObject({ status: 200, text: expect.stringContaining('[DONE]') });

    const full = await health();
    expect(full).toMatchObject({ status: 'degraded', checks: { ledger: { status: 'full', maxBytes: MAX_BYTES } } });
    expect(full.checks.ledger.pendingBytes).toBeGreaterThanOrEqual(MAX_BYTES);
    expect(full.checks.ledger.pendingBytes).toBeLessThan(MAX_BYTES + 4_000);
    const headers = { authorization: `Bearer ${server.apiKey}` };
    const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
    expect(metrics).toContain(`signalbox_journal_pending_bytes ${full.checks.ledger.pendingBytes}\n`);
    expect(metrics).toContain(`signalbox_journal_max_bytes ${MAX_BYTES}\n`);

    await release();
    await eventually(async () => expect((await send({})).status).toBe(200));
    await server.services.ledger.drained();
    expect(await health()).toMatchObject({ status: 'ok', checks: { ledger: { status: 'ok', pendingBytes: 0 } } });
    // Those that were answered, the one that ran, and the last; nothing of what was refused.
    expect(await rows('SELECT count(*)::int AS count, min(status::text) AS status FROM completions')).toEqual([
      { count: answered + 2, status: 'SUCCEEDED' },
    ]);
  });

  it('does not grow with answers from the cache, which would cost nothing to ask for', async () => {
    const set = await server.query(
      `mutation { updateRoute(input: { id: "default", cacheTtlSeconds: 600 }) { __typename ... on Error { message } } }`,
    );
    expect(set.data).toMatchObject({ updateRoute: { __typename: 'UpdateRouteSuccess' } });
    const ask = () => send({ model: 'default', temperature: 0 });
    await ask();
    const release = await holdDrain();
    let answer = await ask();
    for (let count = 0; answer.status === 200 && count < 300; count += 1) answer = await ask();
    expect(answer.status).toBe(503);
    expect(server.services.ledger.status().pendingBytes).toBeLessThan(MAX_BYTES + 4_000);
    await release();
    await eventually(async () => expect((await ask()).status).toBe(200));
  });
});

it('knows the bytes that are not drained without asking the file system', () => {
  const step = fc.record({
    bytes: fc.integer({ min: 1, max: 50 }),
    isNext: fc.boolean(),
    drains: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  });
  const { log } = recordedLog();
  const directory = folder();
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let end: Position = { segment: 1, offset: 0 };
      const backlog = new Backlog({ directory, drained: end, end, maxBytes: 100, log });
      /** Every place that the journal ever ended at, and how many bytes are before it. */
      const places = [{ position: end, before: 0 }];
      let drained = 0;
      for (const { bytes, isNext, drains } of steps) {
        end = isNext ? { segment: end.segment + 1, offset: bytes } : { ...end, offset: end.offset + bytes };
        places.push({ position: end, before: (places.at(-1)?.before ?? 0) + bytes });
        backlog.grow(end);
        if (drains !== null) {
          drained = Math.max(drained, Math.floor(drains * (places.length - 1)));
          backlog.shrink((places[drained] as (typeof places)[number]).position);
        }
        const pending = (places.at(-1)?.before ?? 0) - (places[drained]?.before ?? 0);
        expect(backlog.bytes).toBe(pending);
        if (pending >= 100) expect(() => backlog.assertRoom()).toThrow('The journal is full');
        else backlog.assertRoom();
      }
    }),
  );
});
