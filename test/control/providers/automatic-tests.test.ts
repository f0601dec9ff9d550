import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { until } from '../../kit/eventually.ts';
import { type Credential, startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { anotherAdmin, createProvider, healthOf, KEY, mutate } from './kit.ts';

const GOOD = json(whole('Hello'));

let server: TestServer;
let upstream: Upstream;
let admin: Credential;
let answer: Answer = GOOD;
let slug = '';
let count = 0;
beforeAll(async () => {
  server = await startServer({ providerTests: true });
  upstream = await startUpstream((response, received) => answer(response, received));
});
afterAll(async () => {
  await upstream.close();
  await server.close();
});
beforeEach(async () => {
  answer = GOOD;
  slug = `new-${count++}`;
  upstream.received.length = 0;
  admin = await anotherAdmin(server);
});

const create = (more: object = {}) => createProvider(server, slug, upstream.url, more, admin);
const setKey = (key: string) =>
  mutate(server, 'setProviderKey', { input: { provider: slug, key } }, 'provider { id }', admin);
const untilStatus = (status: string) =>
  until(async () => (await healthOf(server, slug))?.status === status, `the status ${status}`);

test('a new provider is tested, also when it is disabled', async () => {
  await create({ isEnabled: false });
  await untilStatus('ONLINE');
  expect(upstream.received).toHaveLength(1);
});

test('a provider that still lacks its key or a model is not tested, and the first key tests it', async () => {
  await create({ kind: 'OPENAI', apiKey: null });
  await createProvider(server, `${slug}-empty`, upstream.url, { models: [] }, admin);
  await sleep(200);
  expect(upstream.received).toEqual([]);
  await setKey(KEY);
  await untilStatus('ONLINE');
  expect(upstream.received.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${KEY}`]);
});

test('the mutation neither waits for the test nor fails with it', async () => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  answer = async (response) => {
    await released;
    response.destroy();
  };
  await create();
  expect(await healthOf(server, slug)).toBeNull();
  await until(() => upstream.received.length === 1, 'the test');
  release();
  await untilStatus('OFFLINE');
});

test('keys that are set while a test runs are tested one after the other, the last one last', async () => {
  let running = 0;
  let most = 0;
  answer = async (response, received) => {
    most = Math.max(most, ++running);
    await sleep(100);
    running -= 1;
    return GOOD(response, received);
  };
  await create();
  for (const number of [1, 2, 3]) expect(await setKey(`${KEY}-${number}`)).toHaveProperty('provider');
  await until(() => upstream.received.at(-1)?.headers.authorization === `Bearer ${KEY}-3`, 'the test of the last key');
  await untilStatus('ONLINE');
  expect(most).toBe(1);
  expect(upstream.received.length).toBeLessThanOrEqual(4);
});

test('beyond ten tests a minute keys are stored, and not tested', async () => {
  await create();
  for (let number = 1; number <= 10; number++) expect(await setKey(`${KEY}-${number}`)).toHaveProperty('provider');
  await sleep(300);
  const tested = upstream.received.length;
  await setKey(`${KEY}-last`);
  await sleep(300);
  expect(upstream.received).toHaveLength(tested);
  expect(upstream.received.map(({ headers }) => headers.authorization)).not.toContain(`Bearer ${KEY}-last`);
  expect(server.services.snapshots.current.providersBySlug.get(slug)?.keys[0]?.secret).toBe(`${KEY}-last`);
});

test('a server that stops ends the test, and writes nothing of it', async () => {
  const stopping = await startPeer(server);
  answer = () => sleep(20_000, null, { ref: false });
  await createProvider(stopping, slug, upstream.url, {}, admin);
  await until(() => upstream.received.length === 1, 'the test');
  const began = performance.now();
  await stopping.close();
  expect(performance.now() - began).toBeLessThan(5_000);
  await until(() => upstream.received[0]?.abortedAt, 'the end of the call');
  expect(await server.services.prisma.provider.count({ where: { slug } })).toBe(1);
  expect(await server.services.prisma.providerHealth.count({ where: { provider: { slug } } })).toBe(0);
});
