import { afterAll, beforeAll, expect, it } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

it('the snapshot knows who offers a model, by priority, and forgets who does not any more', async () => {
  const offers = () =>
    (server.services.snapshots.current.modelsByName.get('shared') ?? []).map(({ provider }) => provider.slug);
  const change = async (mutation: string) => {
    const { errors } = await server.query(`mutation { ${mutation} { __typename ... on Error { message } } }`);
    expect(errors).toEqual([]);
  };
  for (const [slug, priority] of [
    ['late', 9],
    ['early', 7],
    ['middle', 8],
  ] as const)
    await change(
      `createProvider(input: { name: "X", slug: "${slug}", baseUrl: "http://127.0.0.1:9", priority: ${priority},
         models: [{ name: "other" }, { name: "shared" }] })`,
    );
  expect(offers()).toEqual(['early', 'middle', 'late']);
  await change('updateModel(input: { id: "middle/shared", isEnabled: false })');
  expect(offers()).toEqual(['early', 'late']);
  await change('deleteModel(id: "early/shared")');
  await change('updateModel(input: { id: "middle/shared", isEnabled: true })');
  await change('updateProvider(input: { id: "middle", priority: 10 })');
  expect(offers()).toEqual(['late', 'middle']);
});
