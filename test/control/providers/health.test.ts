import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { parseDatabaseUrl } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, json, startUpstream, type Upstream, until, whole } from '../../kit/upstream.ts';
import { executeWith } from '../execute.ts';
import { anotherAdmin, createProvider, type Health, healthOf, KEY, mutate } from './kit.ts';

const GOOD = json(whole('Hello'));
const FAULT = json({ error: { message: `boom ${KEY}` } }, 500);

let server: TestServer;
let upstream: Upstream;
let answer: Answer = GOOD;
let slug = '';
let count = 0;
beforeAll(async () => {
  server = await startServer();
  upstream = await startUpstream((response, received) => answer(response, received));
});
afterAll(async () => {
  await upstream.close();
  await server.close();
});
beforeEach(async () => {
  answer = GOOD;
  slug = `watched-${count++}`;
  await createProvider(server, slug, upstream.url);
  upstream.received.length = 0;
});

async function send(calls: number, to = server): Promise<void> {
  for (let call = 0; call < calls; call++)
    await fetch(`${to.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${to.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: `${slug}/m`, messages: [{ role: 'user', content: 'Hi' }] }),
    }).then((response) => response.arrayBuffer());
}

const tryOut = async (at = server) => {
  const input = { id: slug };
  return mutate<{ status: string }>(at, 'testProvider', { input }, 'status', await anotherAdmin(at));
};

const untilStatus = (status: string, at = server) =>
  until(async () => {
    const health = await healthOf(at, slug);
    return health?.status === status ? health : null;
  }, `the status ${status}`);

const eventsOf = async () => {
  const events = await server.services.prisma.event.findMany({
    where: { topic: 'PROVIDER_HEALTH' },
    orderBy: { seq: 'asc' },
  });
  const { id } = await server.services.prisma.provider.findUniqueOrThrow({ where: { slug } });
  return events
    .map(({ payload }) => payload as { providerId: string; previousStatus: string; status: string; source: string })
    .filter(({ providerId }) => providerId === id)
    .map(({ previousStatus, status, source }) => [previousStatus, status, source]);
};

describe('by traffic', () => {
  test('nothing is known before a provider is used; one answer makes it ONLINE', async () => {
    expect(await healthOf(server, slug)).toBeNull();
    await send(1);
    const health = await untilStatus('ONLINE');
    expect(health).toMatchObject({ upstreamStatus: 200, detail: null, latencyMs: expect.any(Number) });
    expect(health.since).toBe(health.checkedAt);
  });

  test('it goes OFFLINE when calls fail, and comes back by answers', async () => {
    await send(1);
    await untilStatus('ONLINE');
    answer = FAULT;
    await send(12);
    const offline = await untilStatus('OFFLINE');
    expect(offline).toMatchObject({ upstreamStatus: 500, detail: expect.stringContaining('boom …') });
    expect(offline.detail).not.toContain(KEY);
    answer = GOOD;
    await send(30);
    await untilStatus('ONLINE');
    expect((await eventsOf()).map(([, status]) => status)).toEqual(expect.arrayContaining(['OFFLINE', 'ONLINE']));
  });

  test('a call that another provider takes over counts as well', async () => {
    const second = await startUpstream(GOOD);
    const more = { priority: 2, kind: 'CUSTOM' };
    await createProvider(server, `${slug}-second`, second.url, more);
    const { prisma } = server.services;
    await mutate(server, 'updateProvider', { input: { id: slug, priority: 1 } }, 'provider { id }');
    answer = FAULT;
    for (let call = 0; call < 3; call++)
      await fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hi' }] }),
      }).then(async (response) => expect(response.status, await response.text()).toBe(200));
    await untilStatus('OFFLINE');
    expect(await healthOf(server, `${slug}-second`)).toMatchObject({ status: 'ONLINE' });
    await prisma.provider.updateMany({ where: { slug }, data: { priority: 100 } });
    await second.close();
  });

  test.each<[string, Answer]>([
    ['refuses what a client sent', json({ error: { message: 'odd parameter' } }, 400)],
    ['does not know the model that a client named', json({ error: { message: 'no such model' } }, 404)],
  ])('that it %s says nothing of it', async (_what, given) => {
    answer = given;
    await send(6);
    await sleep(200);
    expect(upstream.received).toHaveLength(6);
    expect(await healthOf(server, slug)).toBeNull();
  });

  test('clients that leave say nothing of it', async () => {
    answer = () => sleep(10_000, null, { ref: false });
    for (let call = 0; call < 4; call++) {
      const leaving = new AbortController();
      const options = {
        method: 'POST',
        headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: `${slug}/m`, messages: [{ role: 'user', content: 'Hi' }] }),
        signal: leaving.signal,
      };
      const sent = fetch(`${server.url}/v1/chat/completions`, options).catch(() => null);
      await until(() => upstream.received.length === call + 1, 'the call');
      leaving.abort();
      await sent;
    }
    await until(() => server.services.gateway.running === 0, 'the end of all calls');
    await sleep(200);
    expect(await healthOf(server, slug)).toBeNull();
  });

  test('a provider that goes up and down costs few writes, however many calls there are', async () => {
    let call = 0;
    answer = (response, received) => (Math.floor(call++ / 20) % 2 ? FAULT : GOOD)(response, received);
    const began = performance.now();
    await send(150);
    const seconds = (performance.now() - began) / 1_000;
    const changes = await eventsOf();
    expect(changes.length).toBeGreaterThan(0);
    expect(changes.length).toBeLessThanOrEqual(seconds / 2 + 2);
  });
});

describe('by tests', () => {
  test('a test counts more than the traffic before it, and the traffic after it more than the test', async () => {
    answer = FAULT;
    await send(5);
    await untilStatus('OFFLINE');
    answer = GOOD;
    expect(await tryOut()).toMatchObject({ status: 'ONLINE' });
    expect(await healthOf(server, slug)).toMatchObject({ status: 'ONLINE' });
    answer = FAULT;
    expect(await tryOut()).toMatchObject({ status: 'OFFLINE' });
    answer = GOOD;
    await send(1);
    await untilStatus('ONLINE');
    expect(await eventsOf()).toEqual([
      [null, 'OFFLINE', 'TRAFFIC'],
      ['OFFLINE', 'ONLINE', 'TEST'],
      ['ONLINE', 'OFFLINE', 'TEST'],
      ['OFFLINE', 'ONLINE', 'TRAFFIC'],
    ]);
  });

  test('a status that stays is checked again, without a new beginning and without an event', async () => {
    await tryOut();
    const first = (await healthOf(server, slug)) as Health;
    await tryOut();
    const second = (await healthOf(server, slug)) as Health;
    expect(second.since).toBe(first.since);
    expect(Date.parse(second.checkedAt)).toBeGreaterThan(Date.parse(first.checkedAt));
    expect(await eventsOf()).toHaveLength(1);
  });

  test('many at once tell each change once', async () => {
    await Promise.all(Array.from({ length: 8 }, () => tryOut()));
    expect(await eventsOf()).toEqual([[null, 'ONLINE', 'TEST']]);
  });

  test('health goes with its provider', async () => {
    await tryOut();
    const before = await server.services.prisma.providerHealth.count();
    await mutate(server, 'deleteProvider', { id: slug }, 'id');
    expect(await server.services.prisma.providerHealth.count()).toBe(before - 1);
  });
});

describe('providerHealthChanged', () => {
  interface Changed {
    provider: { slug: string; name: string; models: { totalCount: number } } | null;
    status: string;
    previousStatus: string | null;
    checkedAt: string;
    latencyMs: number | null;
    detail: string | null;
  }
  const CHANGED = `subscription { providerHealthChanged { provider { slug name models { totalCount } }
    status previousStatus checkedAt latencyMs detail } }`;

  function follow(at: TestServer, credential?: Parameters<TestServer['ws']>[0]) {
    const events: Changed[] = [];
    const errors: unknown[] = [];
    const stop = at.ws(credential).subscribe<{ providerHealthChanged: Changed }>(
      { query: CHANGED },
      {
        next: ({ data, errors: failed }) => {
          if (data) events.push(data.providerHealthChanged);
          if (failed) errors.push(...failed);
        },
        error: (error) => errors.push(error),
        complete: () => undefined,
      },
    );
    return { events, errors, stop };
  }

  /** The server itself follows, too. */
  const untilFollowed = (at: TestServer, readers: number) =>
    until(() => at.services.feed.subscribers('PROVIDER_HEALTH') === readers + 1, `${readers} readers`);

  test('tells each change once, with the provider as it is then', async () => {
    const { events, stop } = follow(server);
    await untilFollowed(server, 1);
    await tryOut();
    await until(() => events.length === 1, 'the first change');
    await tryOut();
    const change = { id: slug, name: 'Another name', models: [{ name: 'n' }] };
    await mutate(server, 'updateProvider', { input: change }, 'provider { id }');
    answer = FAULT;
    await tryOut();
    await until(() => events.length === 2, 'the second change');
    const shared = { checkedAt: expect.any(String), latencyMs: expect.any(Number) };
    expect(events).toEqual([
      {
        ...shared,
        ...{ provider: { slug, name: slug, models: { totalCount: 1 } }, previousStatus: null, status: 'ONLINE' },
        detail: null,
      },
      {
        ...shared,
        ...{ provider: { slug, name: 'Another name', models: { totalCount: 2 } }, previousStatus: 'ONLINE' },
        ...{ status: 'OFFLINE', detail: `${slug} failed (HTTP 500): boom …` },
      },
    ]);
    stop();
    await untilFollowed(server, 0);
  });

  test('tells readers of every server the same, in the same order, and tests clear what another server saw', async () => {
    const peer = await startPeer(server);
    const here = follow(server);
    const there = follow(peer);
    await Promise.all([untilFollowed(server, 1), untilFollowed(peer, 1)]);
    answer = FAULT;
    await send(3);
    await untilStatus('OFFLINE', peer);
    answer = GOOD;
    await tryOut(peer);
    answer = FAULT;
    await sleep(300);
    await send(2);
    await sleep(300);
    expect(await healthOf(server, slug)).toMatchObject({ status: 'ONLINE' });
    await send(1);
    await until(() => here.events.length === 3 && there.events.length === 3, 'three changes on both');
    expect(here.events.map(({ status }) => status)).toEqual(['OFFLINE', 'ONLINE', 'OFFLINE']);
    expect(there.events).toEqual(here.events);
    here.stop();
    await peer.close();
    await untilFollowed(server, 0);
  });

  test('an admin who loses the role gets nothing more', async () => {
    const { services } = server;
    const credential = await anotherAdmin(server);
    const { events, errors } = follow(server, credential);
    await untilFollowed(server, 1);
    await tryOut();
    await until(() => events.length === 1, 'a change');
    await changeAccounts(services, (tx, revision) =>
      tx.user.updateMany({ where: { email: { not: 'admin@signalbox.local' } }, data: { role: 'USER', revision } }),
    );
    answer = FAULT;
    await tryOut();
    await until(() => errors.length > 0, 'a denial');
    expect(events).toHaveLength(1);
    expect(JSON.stringify(errors)).toContain('FORBIDDEN');
    await untilFollowed(server, 0);
  });
});

test('reading the health of all providers costs one statement, however many there are', async () => {
  const statements: string[] = [];
  const connection = parseDatabaseUrl(server.services.settings.databaseUrl ?? '');
  const prisma = createPrisma(connection, 1, (sql) => statements.push(sql));
  const counts: number[] = [];
  for (let round = 0; round < 2; round++) {
    statements.length = 0;
    const { data, errors } = await executeWith(server, { prisma }, '{ providers { slug health { status detail } } }');
    expect(errors).toBeUndefined();
    expect(data?.providers).toContainEqual(expect.objectContaining({ slug: 'sandbox' }));
    counts.push(statements.length);
    await tryOut();
  }
  await prisma.$disconnect();
  expect(counts).toEqual([2, 2]);
});
