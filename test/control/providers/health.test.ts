import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseDatabaseUrl } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { until } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { executeWith } from '../execute.ts';
import { ask, createProvider, type Health, healthOf, KEY, mutate, statusOf, testOf } from './kit.ts';

const GOOD = json(whole('Hello'));
const FAULT = json({ error: { message: `boom ${KEY}` } }, 500);

let server: TestServer;
let upstream: Upstream;
let answer: Answer = GOOD;
let slug = '';
let count = 0;
beforeAll(async () => {
  // What is left alone shows nothing for a while.
  server = await startServer({ circuitProbeMs: 0 });
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
  // Each request is one call, so that what is counted is what is sent, and nothing waits to be tried again.
  const input = { name: `once-${slug}`, targets: [{ provider: slug }], maxRetries: 0 };
  await server.query('mutation ($input: CreateRouteInput!) { createRoute(input: $input) { __typename } }', { input });
  upstream.received.length = 0;
});

async function send(calls: number): Promise<void> {
  for (let call = 0; call < calls; call++) await ask(server, `once-${slug}`);
}

const tryOut = () => testOf(server, slug);

const untilStatus = (status: string) => statusOf(server, slug, status);

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
    for (let call = 0; call < 3; call++) expect(await ask(server, 'm')).toBe(200);
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
      const sent = ask(server, `${slug}/m`, leaving.signal).catch(() => null);
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
    await server.query('mutation ($id: ID!) { deleteRoute(id: $id) { __typename } }', { id: `once-${slug}` });
    await mutate(server, 'deleteProvider', { id: slug }, 'id');
    expect(await server.services.prisma.providerHealth.count()).toBe(before - 1);
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
