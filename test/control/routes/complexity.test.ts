import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, createProvider } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const DEEP = '{ routes { targets { provider { models(first: 100) { nodes { id name } } } } } }';
const SCREEN = '{ routes { id slug targets { provider { slug } models priority weight percentage } } }';

test('many routes with many targets count as what they are, when much is asked for below them', async () => {
  const models = Array.from({ length: 40 }, (_, index) => ({ name: `m${index}` }));
  await createProvider(server, 'many-models', models);
  const targets = models.map(({ name }) => ({ provider: 'many-models', models: [name] }));
  expect((await server.query(DEEP)).errors).toEqual([]);
  for (let route = 0; route < 25; route += 1)
    await changeRoute(server, 'createRoute', { name: `Route ${route}`, targets });
  const { data, errors } = await server.query(DEEP);
  expect(data ?? null).toBeNull();
  expect(errors[0]?.message).toContain('complexity');
  expect((await server.query(SCREEN)).errors).toEqual([]);
});

test('of thousands of models that are not there only the first are looked for, and told', async () => {
  const unknown = (target: number) => Array.from({ length: 100 }, (_, index) => `m-${target}-${index}`);
  const targets = Array.from({ length: 50 }, (_, target) => ({ provider: 'many-models', models: unknown(target) }));
  const { issues } = await changeRoute(server, 'createRoute', { name: 'Lost', targets });
  expect(issues).toHaveLength(20);
  expect(issues?.at(-1)?.path).toBe('targets.0.models.19');
});
