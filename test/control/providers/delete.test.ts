import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { createProvider, mutate, read } from './kit.ts';

let server: TestServer;
let upstream: Upstream;
beforeAll(async () => {
  server = await startServer();
  upstream = await startUpstream(json(whole('Hello')));
});
afterAll(async () => {
  await upstream.close();
  await server.close();
});

interface Deleted {
  id: string;
  slug: string;
}
const remove = (id: string) => mutate<Deleted>(server, 'deleteProvider', { id }, 'id slug');

const counts = async () => ({
  providers: await server.services.prisma.provider.count(),
  keys: await server.services.prisma.providerKey.count(),
  models: await server.services.prisma.model.count(),
});
const version = () => server.services.snapshots.current.version;

test('deletes a provider with its keys and models, by slug or id, and frees its slug', async () => {
  const before = await counts();
  for (const name of ['slug', 'id'] as const) {
    const id = await createProvider(server, 'gone', upstream.url);
    expect(await counts()).toEqual({
      providers: before.providers + 1,
      keys: before.keys + 1,
      models: before.models + 1,
    });
    const deleted = await remove(name === 'id' ? id : 'gone');
    expect(deleted).toEqual({ __typename: 'DeleteProviderSuccess', id, slug: 'gone' });
    expect(await counts()).toEqual(before);
    expect(server.services.snapshots.current.providersBySlug.has('gone')).toBe(false);
  }
});

test('what a deleted provider did stays on the ledger', async () => {
  await createProvider(server, 'served', upstream.url);
  const complete = `mutation { complete(input: { model: "served/m", messages: [{ role: USER, content: "Hi" }] }) {
    ... on Completion { requestId } ... on Error { message } } }`;
  const { requestId } = (await read<{ complete: { requestId: string } }>(server, complete)).complete;
  await remove('served');
  await until(async () => {
    const find = `{ request(id: "${requestId}") { provider attempts { provider status } } }`;
    const { request } = await read<{ request: { provider: string; attempts: object[] } | null }>(server, find);
    if (request)
      expect(request).toEqual({ provider: 'served', attempts: [{ provider: 'served', status: 'SUCCEEDED' }] });
    return request;
  }, 'the request on the ledger');
});

test('refuses the active provider, and says what to do', async () => {
  const before = version();
  expect(await remove('sandbox')).toMatchObject({
    code: 'CONFLICT',
    message: 'The provider "sandbox" is the active one; activate another one first.',
  });
  expect(server.services.snapshots.current.providersBySlug.has('sandbox')).toBe(true);
  expect(version()).toBe(before);
});

test('refuses a provider that routes have targets on, and names them', async () => {
  const { prisma } = server.services;
  const providerId = await createProvider(server, 'aimed-at', upstream.url);
  const before = version();
  for (const slug of ['second', 'first', ...Array.from({ length: 12 }, (_, number) => `z${number}`)])
    await prisma.route.create({
      data: { slug, name: slug, targets: { create: [{ providerId }, { providerId, priority: 2 }] } },
    });
  const refused = await remove('aimed-at');
  expect(refused).toMatchObject({
    code: 'CONFLICT',
    message: expect.stringMatching(/"first", "second", .* and 4 more/),
  });
  expect(await prisma.provider.count({ where: { id: providerId } })).toBe(1);
  expect(version()).toBe(before);
  await prisma.route.deleteMany({ where: { slug: { not: 'default' } } });
  expect(await remove('aimed-at')).toMatchObject({ id: providerId });
});

test('says which providers there are when there is no such one', async () => {
  for (const id of ['nobody', '0197a3f0-0000-7000-8000-000000000000', '\0', 'x'.repeat(9_999)]) {
    const refused = await remove(id);
    expect(refused).toMatchObject({ code: 'PROVIDER_NOT_FOUND', message: expect.stringContaining('sandbox') });
    expect(refused.message.length).toBeLessThan(1_000);
  }
});
