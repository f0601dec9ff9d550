import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, deleteRoute } from '../routes/kit.ts';
import { createProvider, mutate } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const PAIRS = 12;
const pairs = Array.from({ length: PAIRS }, (_, index) => `p${index}`);

test('a provider that one admin changes while another deletes it is changed, or in conflict, or not found', async () => {
  for (const slug of pairs) await createProvider(server, slug, 'http://127.0.0.1:9/v1');
  const changed = await Promise.all(
    pairs.flatMap((slug) => [
      mutate(server, 'updateProvider', { input: { id: slug, priority: 5 } }, 'provider { slug health { status } }'),
      mutate(server, 'setProviderKey', { input: { provider: slug, key: 'a-new-key-1234' } }, 'provider { slug }'),
      mutate(server, 'deleteProvider', { id: slug }, 'slug'),
    ]),
  );
  const outcomes = changed.map(({ __typename, code }) => code ?? __typename);
  expect(outcomes.filter((one) => one === 'DeleteProviderSuccess')).toHaveLength(PAIRS);
  expect(['UpdateProviderSuccess', 'SetProviderKeySuccess', 'CONFLICT', 'PROVIDER_NOT_FOUND']).toEqual(
    expect.arrayContaining(outcomes.filter((one) => one !== 'DeleteProviderSuccess')),
  );
});

test('a route that one admin changes while another deletes it is changed, or in conflict, or not found', async () => {
  for (const slug of pairs) await changeRoute(server, 'createRoute', { name: slug });
  const outcomes = await Promise.all(
    pairs.flatMap((id) => [
      changeRoute(server, 'updateRoute', { id, name: 'Another name' }),
      changeRoute(server, 'updateRoute', { id, description: 'Another text' }),
      deleteRoute(server, id),
    ]),
  );
  const codes = outcomes.map(({ code }) => code ?? 'DONE');
  expect(['DONE', 'CONFLICT', 'ROUTE_NOT_FOUND']).toEqual(expect.arrayContaining(codes));
});
