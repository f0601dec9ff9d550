import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, createProvider, deleteRoute, findRoute } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await createProvider(server, 'one', [{ name: 'large' }, { name: 'org/small' }, { name: 'off', isEnabled: false }]);
});
afterAll(() => server.close());

const version = () => server.services.snapshots.current.version;
const create = (input: object) => changeRoute(server, 'createRoute', input);
const update = (input: object) => changeRoute(server, 'updateRoute', input);

let count = 0;
let slug: string;
let other: string;
beforeEach(async () => {
  slug = `route-${count}`;
  other = `other-${count++}`;
  await create({ name: other, aliases: [`alias/of/${other}`, `${other}-alias`] });
});

test('a route falls back on routes, aliases, provider/model and models, in its order', async () => {
  const fallbacks = [`alias/of/${other}`, 'one/large', 'large', 'org/small', 'one/org/small', other, 'off'];
  expect((await create({ name: slug, fallbacks })).route.fallbacks).toEqual(fallbacks);
  expect(server.services.snapshots.current.routes.get(slug)?.fallbacks).toEqual(fallbacks);
  const fewer = ['one/a-model-that-the-catalog-does-not-have'];
  expect((await update({ id: slug, fallbacks: fewer })).route.fallbacks).toEqual(fewer);
});

test('two routes may fall back on each other', async () => {
  await create({ name: slug, fallbacks: [other] });
  expect((await update({ id: other, fallbacks: [slug] })).route.fallbacks).toEqual([slug]);
});

describe('refuses', () => {
  test.each([
    ['a name that is nothing', ['large', 'larg'], 'fallbacks.1', /Did you mean .*\blarge\?/],
    ['a provider that is not there', ['two/large'], 'fallbacks.0', /is no route/],
    ['a provider without a model', ['one/'], 'fallbacks.0', /is no route/],
    ['a provider alone', ['one'], 'fallbacks.0', /is no route/],
    ['an empty name', [''], 'fallbacks.0', /printable/],
    ['white space', ['a b'], 'fallbacks.0', /printable/],
    ['NUL', ['a\0b'], 'fallbacks.0', /printable/],
    ['the same twice', ['large', 'large'], 'fallbacks.1', /twice/],
    ['eleven', Array.from({ length: 11 }, (_, index) => `one/m${index}`), 'fallbacks', /at most 10/],
  ])('%s', async (_what, fallbacks, path, message) => {
    const before = version();
    for (const refused of [await create({ name: slug, fallbacks }), await update({ id: other, fallbacks })])
      expect(refused.issues).toEqual([{ path, message: expect.stringMatching(message) }]);
    expect(version()).toBe(before);
  });

  test('the route itself: by its slug, an alias or with a hint, also when a name comes later', async () => {
    const itself = [{ path: 'fallbacks.1', message: 'must not be the route itself' }];
    const named = (name: string) => ({ id: other, fallbacks: ['large', name] });
    for (const name of [other, `${other}-alias`, `alias/of/${other}`, `${other}/large`])
      expect((await update(named(name))).issues).toEqual(itself);
    expect((await create({ name: slug, aliases: ['large-x'], fallbacks: ['large', slug] })).issues).toEqual(itself);
    await update({ id: other, fallbacks: ['one/large', 'large'] });
    expect((await update({ id: other, aliases: ['large'] })).issues).toEqual(itself);
  });

  test('to delete or rename what others fall back on, and names them', async () => {
    const alias = `${other}-alias`;
    await create({ name: `${slug}-b`, fallbacks: ['large', other] });
    await create({ name: `${slug}-a`, fallbacks: [alias] });
    const before = version();
    const conflict = (name: string) => ({
      code: 'CONFLICT',
      message: expect.stringMatching(new RegExp(`"${other}${name}`)),
    });
    const deleted = await deleteRoute(server, other);
    expect(deleted).toMatchObject(conflict(''));
    expect(deleted.message).toContain(`"${slug}-a", "${slug}-b"`);
    const renamed = await update({ id: other, slug: `${other}-new` });
    expect(renamed).toMatchObject(conflict('"'));
    expect(renamed.message).toContain(`: "${slug}-b".`);
    expect(await update({ id: other, aliases: [] })).toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(`: "${slug}-a".`),
    });
    expect(version()).toBe(before);
    expect(await findRoute(server, other)).toMatchObject({ slug: other, version: 1 });
  });
});

test('a route is renamed where the old name stays as an alias, and deleted once nobody falls back on it', async () => {
  await create({ name: slug, fallbacks: [other] });
  expect((await update({ id: other, slug: `${other}-new`, aliases: [other] })).route.aliases).toEqual([other]);
  await update({ id: slug, fallbacks: [] });
  expect((await deleteRoute(server, other)).route).toMatchObject({ slug: `${other}-new` });
});

test('a provider or a model that a route falls back on stays, and a provider keeps its slug', async () => {
  const provider = `p-${slug}`;
  const model = `m-${slug}`;
  await createProvider(server, provider, [{ name: model }, { name: 'large' }]);
  await create({ name: slug, fallbacks: [`${provider}/large`, model, 'large'] });
  const conflict = { code: 'CONFLICT', message: expect.stringContaining(`: "${slug}".`) };
  const attempt = async (mutation: string) => {
    const { data } = await server.query<{ it: object }, object>(
      `mutation { it: ${mutation} { __typename ... on Error { code message } } }`,
    );
    return data.it;
  };
  const rename = `updateProvider(input: { id: "${provider}", slug: "${provider}-new" })`;
  expect(await attempt(`deleteProvider(id: "${provider}")`)).toMatchObject(conflict);
  expect(await attempt(rename)).toMatchObject(conflict);
  expect(await attempt(`deleteModel(id: "${provider}/${model}")`)).toMatchObject(conflict);
  // Another provider has one of this name.
  expect(await attempt(`deleteModel(id: "${provider}/large")`)).toEqual({ __typename: 'DeleteModelSuccess' });
  await update({ id: slug, fallbacks: [] });
  expect(await attempt(rename)).toEqual({ __typename: 'UpdateProviderSuccess' });
  expect(await attempt(`deleteProvider(id: "${provider}-new")`)).toEqual({ __typename: 'DeleteProviderSuccess' });
});

test('a fallback that was lost to another change does not stand in the way of changes to the rest', async () => {
  await create({ name: slug, fallbacks: ['large'] });
  await server.services.prisma.route.update({ where: { slug }, data: { fallbacks: ['gone'] } });
  expect((await update({ id: slug, name: 'Renamed' })).route).toMatchObject({ name: 'Renamed', fallbacks: ['gone'] });
  expect(await update({ id: slug, fallbacks: ['gone'] })).toMatchObject({ issues: [{ path: 'fallbacks.0' }] });
});

test('of a deletion and a fallback that come at once, one is refused', async () => {
  for (let round = 0; round < 10; round++) {
    const target = `race-${slug}-${round}`;
    await create({ name: target });
    const [deleted, created] = await Promise.all([
      deleteRoute(server, target),
      create({ name: `${target}-x`, fallbacks: [target] }),
    ]);
    expect([deleted.route, created.route].filter(Boolean)).toHaveLength(1);
  }
});
