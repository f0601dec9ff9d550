import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, createProvider, deleteRoute, FAILURES, findRoute, type Route } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await createProvider(server, 'one', [{ name: 'large' }, { name: 'small' }]);
  await createProvider(server, 'two');
});
afterAll(() => server.close());

const version = () => server.services.snapshots.current.version;
const create = (input: object) => changeRoute(server, 'createRoute', input);
const update = (input: object) => changeRoute(server, 'updateRoute', input);

let count = 0;
let slug: string;
beforeEach(() => {
  slug = `route-${count++}`;
});

describe('createRoute', () => {
  test('makes a route that the next request can use, by slug and by alias', async () => {
    const made = await create({
      name: 'Chat',
      slug,
      description: 'For the chat.',
      aliases: [`gpt/${slug}`, `${slug}.2`],
      strategy: 'WEIGHTED',
      targets: [
        { provider: 'two', priority: 7, weight: 3, metadata: { owner: 'web' } },
        { provider: 'one', models: ['small', 'large'], priority: 5, weight: 1 },
      ],
    });
    expect(made.route).toMatchObject({
      ...{ slug, name: 'Chat', description: 'For the chat.', aliases: [`gpt/${slug}`, `${slug}.2`] },
      ...{ mode: 'AUTO', strategy: 'WEIGHTED', isActive: true, isDefault: false, version: 1 },
      targets: [
        { provider: { slug: 'one' }, models: ['small', 'large'], priority: 5, weight: 1, percentage: 25, metadata: {} },
        { provider: { slug: 'two' }, models: [], priority: 7, weight: 3, percentage: 75, metadata: { owner: 'web' } },
      ],
    });
    for (const name of [slug, `gpt/${slug}`, `${slug}.2`, made.route.id])
      expect(await findRoute(server, name)).toEqual(made.route);
    const { routes } = server.services.snapshots.current;
    expect(routes.get(`${slug}.2`)).toBe(routes.get(slug));
    expect(routes.get(slug)?.targets.map(({ weight }) => weight)).toEqual([1, 3]);
  });

  test('makes the slug from the name, and FAILOVER without targets where nothing is said', async () => {
    const { route } = await create({ name: `Größe & ${slug}` });
    expect(route).toMatchObject({ slug: `gro-e-${slug}`, strategy: 'FAILOVER', description: null, targets: [] });
  });

  test('takes a provider by its id, however it is written', async () => {
    const id = server.services.snapshots.current.providersBySlug.get('two')?.id ?? '';
    const { route } = await create({ name: slug, targets: [{ provider: id.toUpperCase() }] });
    expect(route.targets[0]).toMatchObject({ provider: { slug: 'two' }, priority: 100, weight: 1, percentage: null });
  });

  test.each([
    ['a slug with capitals', { slug: 'Upper' }, 'slug'],
    ['an empty name', { name: ' ' }, 'name'],
    ['an alias with white space', { aliases: ['a b'] }, 'aliases.0'],
    ['an alias like an id', { aliases: ['0198c000-0000-7000-8000-000000000000'] }, 'aliases.0'],
    ['an alias that is there twice', { aliases: ['twice', 'twice'] }, 'aliases.1'],
    ['21 aliases', { aliases: Array.from({ length: 21 }, (_, index) => `a${index}`) }, 'aliases'],
    ['its slug as an alias', { slug: 'own', aliases: ['own'] }, 'aliases'],
    ['51 targets', { targets: Array.from({ length: 51 }, () => ({ provider: 'one' })) }, 'targets'],
    ['a weight below 0', { targets: [{ provider: 'one', weight: -1 }] }, 'targets.0.weight'],
    ['a weight above 1,000,000', { targets: [{ provider: 'one', weight: 1_000_001 }] }, 'targets.0.weight'],
    ['a model that is there twice', { targets: [{ provider: 'two', models: ['m', 'm'] }] }, 'targets.0.models.1'],
    [
      'the same target twice',
      { targets: [{ provider: 'one' }, { provider: 'two' }, { provider: 'one' }] },
      'targets.2',
    ],
    ['WEIGHTED without targets', { strategy: 'WEIGHTED' }, 'targets'],
    ['WEIGHTED without a weight', { strategy: 'WEIGHTED', targets: [{ provider: 'one', weight: 0 }] }, 'targets'],
  ])('refuses %s', async (_what, input, path) => {
    const before = version();
    const refused = await create({ name: slug, ...input });
    expect(refused.code).toBe('VALIDATION');
    expect(refused.issues?.map((issue) => issue.path)).toEqual([path]);
    expect(version()).toBe(before);
  });

  test('refuses a model that its provider does not have, and names the nearest', async () => {
    const before = version();
    const refused = await create({ name: slug, targets: [{ provider: 'two' }, { provider: 'one', models: ['smal'] }] });
    expect(refused.issues).toEqual([
      { path: 'targets.1.models.0', message: 'The provider "one" has no model "smal". Did you mean small?' },
    ]);
    expect(version()).toBe(before);
    expect(await findRoute(server, slug)).toBeNull();
  });

  test('the same models in another order are the same target', async () => {
    const targets = [
      { provider: 'one', models: ['small', 'large'] },
      { provider: 'one', models: ['large', 'small'] },
    ];
    expect((await create({ name: slug, targets })).issues?.[0]?.path).toBe('targets.1');
  });

  test.each(['nobody', '0198c000-0000-7000-8000-000000000000', 'a\0b', ''])(
    'refuses the provider %j, which is not there',
    async (provider) => {
      const refused = await create({ name: slug, targets: [{ provider }] });
      expect(refused).toMatchObject({ code: 'PROVIDER_NOT_FOUND' });
    },
  );

  test('refuses a name that a route, an alias or a provider has', async () => {
    await create({ name: 'First', slug, aliases: [`alias-of-${slug}`] });
    const before = version();
    for (const input of [
      { slug },
      { slug: `alias-of-${slug}` },
      { slug: 'one' },
      { slug: `${slug}-b`, aliases: [slug] },
      { slug: `${slug}-b`, aliases: [`alias-of-${slug}`] },
      { slug: `${slug}-b`, aliases: ['two'] },
    ]) {
      const refused = await create({ name: 'Second', ...input });
      expect(refused).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('is taken by the') });
    }
    expect(version()).toBe(before);
  });

  test('a provider cannot take the name of a route either', async () => {
    await create({ name: 'First', slug, aliases: [`alias-${slug}`] });
    for (const taken of [slug, `alias-${slug}`]) {
      const { data } = await server.query<{ createProvider: object }, object>(
        `mutation($slug: String!) { createProvider(input: { name: "X", slug: $slug, baseUrl: "http://a.test" }) { ${FAILURES} } }`,
        { slug: taken },
      );
      expect(data.createProvider).toMatchObject({ code: 'CONFLICT' });
    }
  });
});

describe('updateRoute', () => {
  test('changes what is named, keeps the rest, and serves it at once', async () => {
    const { route } = await create({ name: 'Old', slug, description: 'Old.', targets: [{ provider: 'one' }] });
    const changed = await update({ id: slug, version: 1, name: 'New', aliases: [`${slug}-alias`], mode: 'SPECIFIC' });
    expect(changed.route).toEqual({
      ...route,
      ...{ name: 'New', aliases: [`${slug}-alias`], mode: 'SPECIFIC', version: 2 },
    });
    expect(server.services.snapshots.current.routes.get(`${slug}-alias`)?.mode).toBe('SPECIFIC');
    expect((await update({ id: `${slug}-alias`, description: null, aliases: [] })).route).toMatchObject({
      ...{ description: null, aliases: [], version: 3, targets: route.targets },
    });
  });

  test('replaces the targets; the same ones keep their id and what is not said', async () => {
    const targets = [
      { provider: 'one', models: ['small', 'large'], priority: 3, weight: 5, metadata: { a: 1 } },
      { provider: 'two' },
    ];
    const { route } = await create({ name: slug, targets });
    const changed = await update({
      id: slug,
      targets: [{ provider: 'one' }, { provider: 'one', models: ['large', 'small'], weight: 6 }],
    });
    expect(changed.route.targets).toEqual([
      { ...route.targets[0], models: ['large', 'small'], weight: 6 },
      expect.objectContaining({ provider: { slug: 'one' }, models: [], priority: 100 }),
    ]);
    expect((await update({ id: slug, targets: [] })).route.targets).toEqual([]);
  });

  test('renames it, and its own names are free to it', async () => {
    await create({ name: slug, aliases: [`${slug}-alias`] });
    const renamed = await update({ id: slug, slug: `${slug}-new`, aliases: [slug, `${slug}-alias`] });
    expect(renamed.route).toMatchObject({ slug: `${slug}-new`, aliases: [slug, `${slug}-alias`] });
    expect((await findRoute(server, slug))?.slug).toBe(`${slug}-new`);
  });

  test('refuses a stale version, a taken name, and a route that is not there', async () => {
    await create({ name: slug });
    const before = version();
    expect(await update({ id: slug, version: 4, name: 'X' })).toMatchObject({ code: 'CONFLICT' });
    expect(await update({ id: slug, slug: 'default' })).toMatchObject({ code: 'CONFLICT' });
    expect(await update({ id: slug, aliases: ['two'] })).toMatchObject({ code: 'CONFLICT' });
    for (const id of [`${slug}x`, '0198c000-0000-7000-8000-000000000000', 'a\0b', '%', ''])
      expect(await update({ id, name: 'X' })).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    expect((await update({ id: `${slug}x`, name: 'X' })).message).toMatch(new RegExp(`Did you mean .*\\b${slug}\\b`));
    expect(version()).toBe(before);
    expect(await findRoute(server, slug)).toMatchObject({ version: 1, name: slug });
  });

  test('refuses WEIGHTED where no target that is there has a weight', async () => {
    await create({ name: slug, targets: [{ provider: 'one', weight: 0 }] });
    expect(await update({ id: slug, strategy: 'WEIGHTED' })).toMatchObject({ code: 'VALIDATION' });
    const changed = await update({ id: slug, strategy: 'WEIGHTED', targets: [{ provider: 'one', weight: 2 }] });
    expect(changed.route.targets[0]?.percentage).toBe(100);
    expect(await update({ id: slug, targets: [] })).toMatchObject({ code: 'VALIDATION' });
  });

  test('of two changes based on the same version one is refused', async () => {
    await create({ name: slug });
    const outcomes = await Promise.all(['a', 'b', 'c'].map((name) => update({ id: slug, version: 1, name })));
    expect(outcomes.filter(({ route }) => route)).toHaveLength(1);
    expect(outcomes.filter(({ code }) => code === 'CONFLICT')).toHaveLength(2);
  });

  test('switches a route off and on', async () => {
    await create({ name: slug });
    await update({ id: slug, isActive: false });
    expect(server.services.snapshots.current.routes.has(slug)).toBe(false);
    await update({ id: slug, isActive: true });
    expect(server.services.snapshots.current.routes.has(slug)).toBe(true);
  });
});

test('the route `default` can be changed, but not be renamed, switched off or deleted', async () => {
  const before = version();
  expect(await update({ id: 'default', slug: 'other' })).toMatchObject({ issues: [{ path: 'slug' }] });
  expect(await update({ id: 'default', isActive: false })).toMatchObject({ issues: [{ path: 'isActive' }] });
  expect(await deleteRoute(server, 'default')).toMatchObject({ code: 'VALIDATION', issues: [{ path: 'id' }] });
  expect(version()).toBe(before);
  const { route } = await update({ id: 'default', name: 'Standard', slug: 'default', isActive: true });
  expect(route).toMatchObject({ name: 'Standard', isDefault: true, isActive: true });
});

test('deleteRoute tells what is gone, and nothing more can be sent to it', async () => {
  const { route } = await create({ name: slug, targets: [{ provider: 'one' }, { provider: 'two' }] });
  expect((await deleteRoute(server, slug)).route).toEqual(route);
  expect(await findRoute(server, route.id)).toBeNull();
  expect(server.services.snapshots.current.routes.has(slug)).toBe(false);
  expect(await server.services.prisma.routeTarget.count({ where: { routeId: route.id } })).toBe(0);
  expect(await deleteRoute(server, slug)).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
});

test('what was done is told to those who watch, and nothing else', async () => {
  await create({ name: slug });
  await update({ id: slug, slug: `${slug}-new` });
  await update({ id: slug, name: 'no such route' });
  await deleteRoute(server, `${slug}-new`);
  const events = await server.services.prisma.event.findMany({ orderBy: { seq: 'desc' }, take: 3 });
  expect(events.map(({ payload }) => (payload as { changes: object[] }).changes)).toMatchObject([
    [{ action: 'DELETED', subject: 'ROUTE', name: `${slug}-new` }],
    [{ action: 'UPDATED', subject: 'ROUTE', name: `${slug}-new` }],
    [{ action: 'CREATED', subject: 'ROUTE', name: slug }],
  ]);
});

test('an API key that is limited to a deleted route can use nothing, and to a new one of that name again', async () => {
  await create({ name: slug, targets: [{ provider: 'sandbox' }] });
  const { data } = await server.query<{ createApiKey: { key: string } }, object>(
    `mutation($slug: String!) { createApiKey(input: { name: "k", allowedRoutes: [$slug] }) {
       ... on CreateApiKeySuccess { key } } }`,
    { slug },
  );
  const use = async (model: string) => {
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${data.createApiKey.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
    });
    await response.text();
    return response.status;
  };
  expect(await use(slug)).toBe(200);
  await deleteRoute(server, slug);
  for (const model of [slug, 'default', 'sandbox/sandbox-small']) expect(await use(model)).toBe(403);
  await create({ name: slug, targets: [{ provider: 'sandbox' }] });
  expect(await use(slug)).toBe(200);
});

test('`__typename` alone is an answer', async () => {
  await create({ name: slug });
  const { data, errors } = await server.query(
    `mutation($slug: ID!) { updateRoute(input: { id: $slug }) { ... on UpdateRouteSuccess { route { __typename } } }
       deleteRoute(id: $slug) { ... on DeleteRouteSuccess { route { __typename } } } }`,
    { slug },
  );
  expect(errors).toEqual([]);
  expect(data).toEqual({
    updateRoute: { route: { __typename: 'Route' } },
    deleteRoute: { route: { __typename: 'Route' } },
  });
});

test('routes lists all of them by their slugs', async () => {
  const { data } = await server.query<{ routes: Route[] }, object>('{ routes { slug isDefault } }');
  const slugs = data.routes.map((route) => route.slug);
  expect(slugs).toEqual([...slugs].sort());
  expect(data.routes.filter(({ isDefault }) => isDefault)).toEqual([{ slug: 'default', isDefault: true }]);
});
