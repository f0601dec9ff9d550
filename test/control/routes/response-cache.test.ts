import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute } from './kit.ts';

let server: TestServer;
let peer: TestServer;
beforeAll(async () => {
  server = await startServer();
  peer = await startPeer(server);
  for (const name of ['cached', 'other'])
    await changeRoute(server, 'createRoute', { name, cacheTtlSeconds: 3_600, targets: [{ provider: 'sandbox' }] });
});
afterAll(async () => {
  await peer.close();
  await server.close();
});

/** Whether the answer came from the cache. */
async function isCached(content: string, on = server, model = 'cached'): Promise<boolean> {
  const response = await fetch(`${on.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${on.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
  });
  expect(response.status, await response.text()).toBe(200);
  return response.headers.get('x-signalbox-cached') === 'true';
}

async function clear(routeId: string): Promise<{ cleared?: number; code?: string }> {
  const { data, errors } = await server.query<{ clearResponseCache: { cleared?: number; code?: string } }, object>(
    `mutation($input: ClearResponseCacheInput!) { clearResponseCache(input: $input) {
       ... on ClearResponseCacheSuccess { cleared } ... on Error { code } } }`,
    { input: { routeId } },
  );
  expect(errors).toEqual([]);
  return data.clearResponseCache;
}

test('clearResponseCache drops what this server has of that route, and says how much', async () => {
  for (const content of ['one', 'two']) {
    expect(await isCached(content)).toBe(false);
    expect(await isCached(content)).toBe(true);
  }
  expect(await isCached('three', server, 'other')).toBe(false);
  expect(await clear('cached')).toEqual({ cleared: 2 });
  expect(await isCached('one')).toBe(false);
  expect(await isCached('three', server, 'other')).toBe(true);
});

test('clearResponseCache reaches the other servers within a second', async () => {
  expect(await isCached('hello', peer)).toBe(false);
  expect(await isCached('hello', peer)).toBe(true);
  await clear('cached');
  await eventually(async () => expect(peer.services.gateway.clearResponseCache(await idOf('cached'))).toBe(0), 1_000);
  expect(await isCached('hello', peer)).toBe(false);
});

test('clearResponseCache also clears what a route had before it was switched off, and refuses one that is not there', async () => {
  await isCached('four', server, 'other');
  await changeRoute(server, 'updateRoute', { id: 'other', isActive: false });
  expect((await clear('other')).cleared).toBeGreaterThanOrEqual(1);
  expect(await clear('nowhere')).toEqual({ code: 'ROUTE_NOT_FOUND' });
});

async function idOf(slug: string): Promise<string> {
  return (await server.services.prisma.route.findUniqueOrThrow({ where: { slug } })).id;
}
