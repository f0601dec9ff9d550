import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { LiveViews } from '../../../src/control/metrics/live-views.ts';
import { cuttableConnection, recordedLog } from '../../gateway/ledger/kit.ts';
import { eventually } from '../../kit/eventually.ts';
import { type Credential, startPeer, startServer, type TestServer } from '../../kit/server.ts';

const WATCH = `subscription($input: MetricsUpdatedInput) { metricsUpdated(input: $input) {
  from to summary { requests attempts cost latencyP99Ms } providers { provider attempts latencyP50Ms } } }`;

interface Numbers {
  from: string;
  to: string;
  summary: { requests: string; attempts: string; cost: string; latencyP99Ms: number | null };
  providers: { provider: string; attempts: string; latencyP50Ms: number | null }[];
}
interface Event {
  /** Milliseconds after the subscription began. */
  at: number;
  numbers: Numbers | null;
  errors: string[];
}

let server: TestServer;
let user: { id: string; token: string };
/** What ends the subscriptions of the test that runs. */
const watching: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startServer();
  const { prisma, tokens } = server.services;
  const { id } = await prisma.user.create({ data: { email: 'user@example.com', passwordHash: '-' } });
  user = { id, token: await tokens.sign(id) };
});
afterAll(() => server.close());
afterEach(async () => {
  await Promise.all(watching.splice(0).map((stop) => stop()));
  // Whatever a test did, no view is left behind.
  await eventually(() => expect(server.services.liveViews.size).toBe(0));
});

/** Follows the numbers over a WebSocket of its own until the test ends. */
function watch(input: object = {}, credential?: Credential, on = server) {
  const client = on.ws(credential);
  const subscription = client.iterate<{ metricsUpdated: Numbers }>({ query: WATCH, variables: { input } });
  const began = performance.now();
  const events: Event[] = [];
  const reading = (async () => {
    for await (const { data, errors } of subscription) {
      const codes = errors?.map(({ extensions }) => String(extensions?.code)) ?? [];
      events.push({ at: performance.now() - began, numbers: data?.metricsUpdated ?? null, errors: codes });
    }
  })();
  const stop = async () => {
    await subscription.return?.();
    await reading;
    await client.dispose();
  };
  watching.push(stop);
  return {
    events,
    stop,
    requests: () => events.map(({ numbers }) => Number(numbers?.summary.requests)),
    /** Resolves with the first event. */
    snapshot: () => eventually(() => events[0]?.numbers ?? Promise.reject(new Error('there is no snapshot'))),
  };
}

async function complete(credential?: Credential, on = server): Promise<void> {
  const { errors } = await on.query(
    'mutation($input: CompletionInput!) { complete(input: $input) { __typename } }',
    { input: { model: 'sandbox-small', messages: [{ role: 'USER', content: 'Hi' }] } },
    credential,
  );
  expect(errors).toEqual([]);
}

/** Whether the numbers of nobody's last completion are still on their way. */
async function settled(): Promise<void> {
  await server.services.ledger.drained();
  const { rows } = await server.services.pool.query('SELECT seq::text FROM ledger_head');
  await eventually(() => expect(`${server.services.ledgerSeq.current}`).toBe(rows[0].seq));
}

/** Statements on roll-ups that the server sends while the test runs, and the most that ran at once. */
function countReadings() {
  const { pool } = server.services;
  const counts = { sent: 0, running: 0, most: 0 };
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
  const spy = vi.spyOn(pool, 'query').mockImplementation((async (...args: unknown[]) => {
    const isReading = String(args[0]).includes('rollup_series');
    if (isReading) counts.sent += 1;
    if (isReading) counts.most = Math.max(counts.most, ++counts.running);
    try {
      return await query(...args);
    } finally {
      if (isReading) counts.running -= 1;
    }
  }) as never);
  onTestFinished(() => spy.mockRestore());
  return counts;
}

describe('metricsUpdated', () => {
  // A busy machine can miss the limits by itself.
  it('begins with a snapshot that equals the query', { retry: 3 }, async () => {
    await complete();
    await settled();
    const { events, snapshot } = watch();
    const first = await snapshot();
    expect(events[0]?.at).toBeLessThan(1_000);
    const fields = 'summary { requests attempts cost latencyP99Ms } providers { provider attempts latencyP50Ms }';
    const { data } = await server.query<{ metrics: Numbers }, object>(`{ metrics(range: LAST_HOUR) { ${fields} } }`);
    expect(first).toMatchObject(data.metrics);
    expect(Number(first.summary.requests)).toBeGreaterThan(0);
    expect(Date.parse(first.to) - Date.parse(first.from)).toBe(3_600_000);
  });

  it('follows a completion within a second and a half', { retry: 3 }, async () => {
    const { events, requests, snapshot } = watch({ range: 'LAST_7_DAYS' });
    const before = Number((await snapshot()).summary.requests);
    await delay(1_200);
    await complete();
    const ended = performance.now();
    await eventually(() => expect(requests()).toEqual([before, before + 1]));
    expect(performance.now() - ended).toBeLessThan(1_500);
    expect(events[1]?.numbers?.providers).toContainEqual(expect.objectContaining({ provider: 'sandbox' }));
  });

  it('sends no more than one event a second under steady traffic, to whoever joins when', async () => {
    const first = watch();
    await first.snapshot();
    const isOver = delay(4_500, true);
    const traffic = (async () => {
      while (!(await Promise.race([isOver, delay(30, false)]))) await complete();
    })();
    await delay(700);
    const second = watch();
    await traffic;
    for (const { events, requests } of [first, second]) {
      // The clock runs from the subscription, so no delay on the way can bring an event forward; timers may, by 1 ms.
      const early = events.filter(({ at }, index) => at < index * 999);
      expect(early).toEqual([]);
      expect(events.length).toBeGreaterThanOrEqual(3);
      expect(events.length).toBeLessThanOrEqual(6);
      expect(requests()).toEqual([...new Set(requests())].sort((a, b) => a - b));
    }
  });

  it('sends and reads nothing while nothing changes', async () => {
    await settled();
    // Its span moves once an hour.
    const { events, snapshot } = watch({ range: 'LAST_7_DAYS' });
    await snapshot();
    const counts = countReadings();
    await delay(2_500);
    expect(events).toHaveLength(1);
    expect(counts.sent).toBe(0);
  });

  it('reads once for all who watch the same view, also what only some of them ask for', async () => {
    const counts = countReadings();
    const all = Array.from({ length: 20 }, () => watch({ range: 'LAST_30_DAYS', filter: { provider: 'sandbox' } }));
    const snapshots = await Promise.all(all.map(({ snapshot }) => snapshot()));
    expect(new Set(snapshots.map((numbers) => JSON.stringify(numbers))).size).toBe(1);
    expect(server.services.liveViews.size).toBe(1);
    // Summary, percentiles, providers, and their percentiles.
    expect(counts.sent).toBe(4);
    await delay(1_200);
    await complete();
    await eventually(() => {
      for (const { events } of all) expect(events).toHaveLength(2);
    });
    expect(counts.sent).toBe(8);
  });

  it('takes two connections at most for many different views', async () => {
    const counts = countReadings();
    const all = Array.from({ length: 40 }, (_, index) =>
      watch({ range: 'LAST_30_DAYS', filter: { model: `model-${index}` } }),
    );
    await Promise.all(all.map(({ snapshot }) => snapshot()));
    expect(server.services.liveViews.size).toBe(40);
    // Summary, percentiles and providers, of which there are none.
    expect(counts.sent).toBe(120);
    expect(counts.most).toBe(2);
  });

  it('keeps another user’s traffic from a user', async () => {
    const mine = watch({}, user);
    const wanted = watch({ filter: { userId: user.id } }, user);
    await Promise.all([mine.snapshot(), wanted.snapshot()]);
    expect(server.services.liveViews.size).toBe(1);
    await complete();
    await settled();
    await delay(1_500);
    expect(mine.requests()).toEqual([0]);
    await complete(user);
    await eventually(() =>
      expect([mine.requests(), wanted.requests()]).toEqual([
        [0, 1],
        [0, 1],
      ]),
    );
  });

  it('refuses what is another’s, and malformed input, before it reads anything', async () => {
    const { id } = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
    const counts = countReadings();
    const refused = [
      [watch({ filter: { userId: id } }, user), 'FORBIDDEN'],
      [watch({ filter: { userId: 'me' } }), 'VALIDATION'],
      [watch({ filter: { apiKeyId: 'x' } }, user), 'VALIDATION'],
    ] as const;
    for (const [{ events }, code] of refused)
      await eventually(() => expect(events.map(({ errors }) => errors)).toEqual([[code]]));
    expect(counts.sent).toBe(0);
  });

  it('ends for an admin who has lost the role, without another number', async () => {
    const { id } = await server.services.prisma.user.create({
      data: { email: 'former@example.com', passwordHash: '-', role: 'ADMIN' },
    });
    await server.services.accounts.refresh();
    const { events, snapshot } = watch({}, { token: await server.services.tokens.sign(id) });
    await snapshot();
    await changeAccounts(server.services, (tx, revision) =>
      tx.user.update({ where: { id }, data: { role: 'USER', revision } }),
    );
    await complete();
    await eventually(() => expect(events).toHaveLength(2));
    expect(events[1]).toMatchObject({ numbers: null, errors: ['FORBIDDEN'] });
    await eventually(() => expect(server.services.liveViews.size).toBe(0));
  });

  it('stops reading when the last one leaves', async () => {
    const [first, second] = [watch(), watch()];
    await Promise.all([first.snapshot(), second.snapshot()]);
    await first.stop();
    await delay(100);
    expect(server.services.liveViews.size).toBe(1);
    await second.stop();
    await eventually(() => expect(server.services.liveViews.size).toBe(0));
    const counts = countReadings();
    await complete();
    await settled();
    await delay(1_200);
    expect(counts.sent).toBe(0);
  });

  it('follows what another server commits', async () => {
    const peer = await startPeer(server);
    onTestFinished(() => peer.close());
    const there = watch({}, undefined, peer);
    const here = watch();
    const before = Number((await there.snapshot()).summary.requests);
    await here.snapshot();
    await complete();
    await complete(undefined, peer);
    await eventually(() => {
      expect(there.requests().at(-1)).toBe(before + 2);
      expect(here.requests().at(-1)).toBe(before + 2);
    });
    await Promise.all([there.stop(), here.stop()]);
  });

  it('goes on when Postgres is back', async () => {
    const way = await cuttableConnection(server.connection);
    const { host, port, user: role, database } = { ...server.connection, ...way.connection };
    const databaseUrl = `postgresql://${role}@${host}:${port}/${database}`;
    const { log, entries } = recordedLog();
    const peer = await startPeer(server, { databaseUrl }, log);
    onTestFinished(() => peer.close());
    const { events, requests, snapshot, stop } = watch({}, undefined, peer);
    const before = Number((await snapshot()).summary.requests);
    way.goAway();
    await complete(undefined, peer);
    const late = watch({ range: 'LAST_7_DAYS' }, undefined, peer);
    await delay(2_500);
    expect([events.length, late.events.length]).toEqual([1, 0]);
    way.comeBack();
    await eventually(() => expect(requests()).toEqual([before, before + 1]), 15_000);
    await eventually(() => expect(late.requests().at(-1)).toBe(before + 1));
    const said = entries.filter(({ msg }) => msg.startsWith('live metrics'));
    expect(said.map(({ level }) => level)).toEqual(['warn', 'info']);
    await Promise.all([stop(), late.stop()]);
  });
});

describe('a live view', () => {
  it('keeps the newest numbers for a reader who is away, and counts the others', async () => {
    const views = new LiveViews(server.services);
    const leaving = new AbortController();
    const reader = views.watch('LAST_HOUR', {}, leaving.signal);
    const first = await (await reader.next()).value?.summary();
    for (let round = 0; round < 3; round++) {
      await complete();
      await settled();
      if (round === 0) await delay(1_500);
      else await eventually(() => expect(views.dropped).toBe(round));
    }
    const second = await (await reader.next()).value?.summary();
    expect(second?.requests).toBe((first?.requests ?? 0n) + 3n);
    expect(views.dropped).toBe(2);
    leaving.abort();
    expect(await reader.next()).toMatchObject({ done: true });
    expect([views.size, views.dropped]).toEqual([0, 2]);
  });

  it('tells that its span has moved on, and no longer holds what it held', async () => {
    const { pool } = server.services;
    const views = new LiveViews(server.services);
    const leaving = new AbortController();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2030-01-01T12:00:58.800Z') });
    onTestFinished(() => void vi.useRealTimers());
    await pool.query(
      `WITH series AS (
         INSERT INTO rollup_series (key, status, provider_slug, model) VALUES ('moved', 'SUCCEEDED', 'moved', 'm')
         RETURNING id)
       INSERT INTO rollups SELECT 'MINUTE', '2030-01-01T11:01:00Z', id, 7, 1, 1, 0, 0, 5, 0, 10, 0, 0 FROM series`,
    );
    const reader = views.watch('LAST_HOUR', { provider: 'moved' }, leaving.signal);
    const first = (await reader.next()).value;
    expect(first?.span.from.toISOString()).toBe('2030-01-01T11:01:00.000Z');
    expect((await first?.summary())?.requests).toBe(7n);
    const next = reader.next();
    vi.setSystemTime(Date.parse('2030-01-01T12:01:00.100Z'));
    const second = (await next).value;
    expect(second?.span.from.toISOString()).toBe('2030-01-01T11:02:00.000Z');
    expect((await second?.summary())?.requests).toBe(0n);
    leaving.abort();
    await reader.return(undefined);
    expect(views.size).toBe(0);
  });
});
