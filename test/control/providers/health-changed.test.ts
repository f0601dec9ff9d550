import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { until } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { anotherAdmin, ask, createProvider, healthOf, KEY, mutate, statusOf, testOf } from './kit.ts';

const GOOD = json(whole('Hello'));
const FAULT = json({ error: { message: `boom ${KEY}` } }, 500);

let server: TestServer;
let upstream: Upstream;
let answer: Answer = GOOD;
let slug = '';
let count = 0;
beforeAll(async () => {
  server = await startServer({ circuitProbeMs: 0 });
  upstream = await startUpstream((response, received) => answer(response, received));
});
afterAll(async () => {
  await upstream.close();
  await server.close();
});
beforeEach(async () => {
  answer = GOOD;
  slug = `followed-${count++}`;
  await createProvider(server, slug, upstream.url);
});

async function send(calls: number): Promise<void> {
  for (let call = 0; call < calls; call++) await ask(server, `${slug}/m`);
}

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
  await testOf(server, slug);
  await until(() => events.length === 1, 'the first change');
  await testOf(server, slug);
  const change = { id: slug, name: 'Another name', models: [{ name: 'n' }] };
  await mutate(server, 'updateProvider', { input: change }, 'provider { id }');
  answer = FAULT;
  await testOf(server, slug);
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
  await statusOf(peer, slug, 'OFFLINE');
  answer = GOOD;
  await testOf(peer, slug);
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
  await testOf(server, slug);
  await until(() => events.length === 1, 'a change');
  await changeAccounts(services, (tx, revision) =>
    tx.user.updateMany({ where: { email: { not: 'admin@signalbox.local' } }, data: { role: 'USER', revision } }),
  );
  answer = FAULT;
  await testOf(server, slug);
  await until(() => errors.length > 0, 'a denial');
  expect(events).toHaveLength(1);
  expect(JSON.stringify(errors)).toContain('FORBIDDEN');
  await untilFollowed(server, 0);
});
