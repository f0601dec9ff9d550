import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { migrate } from '../../../src/platform/database/migrate.ts';
import { readMigrationLock, readMigrations } from '../../../src/platform/database/migration-files.ts';
import { applyMigrations } from '../../../src/platform/database/schema-engine.ts';
import { createLog } from '../../../src/platform/log.ts';
import { createDatabase } from '../../kit/database.ts';
import { ADMIN, startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, createProvider, deleteRoute, setTrafficSplit } from './kit.ts';

interface Version {
  version: number;
  createdAt: string;
  changedBy: { email: string } | null;
  content: Record<string, unknown> & { targets: Record<string, unknown>[] };
}

interface Versions {
  nodes: Version[];
  totalCount: number;
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await createProvider(server, 'one');
  await createProvider(server, 'two');
});
afterAll(() => server.close());

let count = 0;
let slug: string;
beforeEach(() => {
  slug = `version-${count++}`;
});

async function versions(id: string, page: { first?: number; after?: string | null } = {}): Promise<Versions> {
  const { data, errors } = await server.query<{ route: { versions: Versions } }, object>(
    `query($id: ID!, $first: Int, $after: String) { route(id: $id) { versions(first: $first, after: $after) {
       nodes { version createdAt changedBy { email } content } totalCount pageInfo { hasNextPage endCursor } } } }`,
    { id, ...page },
  );
  expect(errors).toEqual([]);
  return data.route.versions;
}

const numbers = ({ nodes }: Versions) => nodes.map(({ version }) => version);

test('each change of a route is a version: what it was, who changed it and when', async () => {
  const before = Date.now();
  await changeRoute(server, 'createRoute', { name: slug, config: { a: 1 }, targets: [{ provider: 'one', weight: 3 }] });
  await changeRoute(server, 'updateRoute', {
    id: slug,
    strategy: 'CUSTOM',
    scoreWeights: { cost: 10, latency: 20, quality: 70 },
  });
  const targets = [
    { provider: 'one', percentage: 70 },
    { provider: 'two', percentage: 30, metadata: { variant: 'B' } },
  ];
  const { route } = await setTrafficSplit(server, { routeId: slug, targets });
  const { nodes, totalCount } = await versions(slug);
  expect(totalCount).toBe(3);
  expect(nodes).toMatchObject([
    {
      version: 3,
      content: {
        ...{ id: route.id, version: 3, strategy: 'WEIGHTED', costWeight: null },
        targets: [
          { id: route.targets[0]?.id, weight: 70, slots: [3_000, 10_000] },
          { id: route.targets[1]?.id, weight: 30, slots: [0, 3_000], metadata: { variant: 'B' } },
        ],
      },
    },
    { version: 2, content: { strategy: 'CUSTOM', costWeight: 10, latencyWeight: 20, qualityWeight: 70 } },
    {
      version: 1,
      content: {
        ...{ slug, name: slug, aliases: [], strategy: 'FAILOVER', maxRetries: 3, fallbacks: [], config: { a: 1 } },
        ...{ isActive: true, cacheTtlSeconds: null },
        targets: [{ weight: 3, models: [], priority: 100, strategy: 'FAILOVER', slots: [0, 10_000] }],
      },
    },
  ]);
  for (const { createdAt, changedBy } of nodes) {
    expect(changedBy).toEqual({ email: ADMIN.email });
    expect(Date.parse(createdAt)).toBeGreaterThanOrEqual(before - 1_000);
    expect(Date.parse(createdAt)).toBeLessThanOrEqual(Date.now() + 1_000);
  }
});

test('a refused change leaves no version, and a deleted route none at all', async () => {
  const { route } = await changeRoute(server, 'createRoute', { name: slug });
  await changeRoute(server, 'updateRoute', { id: slug, name: 'x', aliases: ['one'] });
  await changeRoute(server, 'updateRoute', { id: slug, name: 'x', version: 7 });
  expect(numbers(await versions(slug))).toEqual([1]);
  await deleteRoute(server, slug);
  expect(await server.services.prisma.routeVersion.count({ where: { routeId: route.id } })).toBe(0);
});

test('the route `default` has the version it was seeded with, and one more when activateProvider clears it', async () => {
  const seeded = (await versions('default')).nodes.at(-1);
  expect(seeded).toMatchObject({ version: 1, changedBy: null, content: { slug: 'default', targets: [] } });
  const { route } = await setTrafficSplit(server, {
    routeId: 'default',
    targets: [{ provider: 'one', percentage: 100 }],
  });
  await server.query('mutation { activateProvider(id: "two") { __typename } }');
  const [cleared, split] = (await versions('default')).nodes;
  expect(split).toMatchObject({ version: route.version, content: { targets: [{ weight: 100 }] } });
  expect(cleared).toMatchObject({ version: route.version + 1, content: { strategy: 'FAILOVER', targets: [] } });
  expect(cleared?.changedBy?.email).toBe(ADMIN.email);
});

test('pages go back through all versions, also when new ones come meanwhile', async () => {
  await changeRoute(server, 'createRoute', { name: slug });
  for (let change = 0; change < 6; change++) await changeRoute(server, 'updateRoute', { id: slug, name: `n${change}` });
  const seen: number[] = [];
  for (let after: string | null = null; ; ) {
    const page: Versions = await versions(slug, { first: 3, after });
    seen.push(...numbers(page));
    if (!page.pageInfo.hasNextPage) break;
    after = page.pageInfo.endCursor;
    await changeRoute(server, 'updateRoute', { id: slug, name: `m${seen.length}` });
  }
  expect(seen).toEqual([7, 6, 5, 4, 3, 2, 1]);
});

test.each([{ first: 0 }, { first: 101 }, { after: 'nonsense' }])('refuses the page %j', async (page) => {
  const { errors } = await server.query<object, object>(
    'query($first: Int, $after: String) { route(id: "default") { versions(first: $first, after: $after) { totalCount } } }',
    page,
  );
  expect(errors.map(({ extensions }) => extensions.code)).toEqual(['VALIDATION']);
});

test('the last 1,000 versions are kept', async () => {
  const { route } = await changeRoute(server, 'createRoute', { name: slug });
  const { prisma } = server.services;
  await prisma.routeVersion.createMany({
    data: Array.from({ length: 1_099 }, (_, index) => ({ routeId: route.id, version: index + 2, content: {} })),
  });
  await prisma.route.update({ where: { id: route.id }, data: { version: 1_100 } });
  await changeRoute(server, 'updateRoute', { id: slug, name: 'x' });
  const { totalCount, nodes } = await versions(slug, { first: 1 });
  expect(totalCount).toBe(1_000);
  expect(nodes).toMatchObject([{ version: 1_101, content: { name: 'x' } }]);
  const { _min } = await prisma.routeVersion.aggregate({ where: { routeId: route.id }, _min: { version: true } });
  expect(_min.version).toBe(102);
});

test('routes from before there were versions have the one that they were at', async () => {
  const database = await createDatabase({ isEmpty: true });
  const migrations = await readMigrations();
  const place = migrations.findIndex(({ name }) => name.includes('routing_and_experiments'));
  await applyMigrations(database.connection, migrations.slice(0, place), await readMigrationLock(), true);
  const client = new pg.Client(database.connection);
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await database.drop();
  });
  await client.query(`
    INSERT INTO routes (id, slug, name, aliases, strategy, version, updated_at)
    VALUES ('0198c000-0000-7000-8000-000000000001', 'old', 'Old', '{o}', 'WEIGHTED', 12, '2026-11-01T00:00:00Z');
    INSERT INTO route_targets (id, route_id, provider_id, models, weight, metadata)
    VALUES ('0198c000-0000-7000-8000-000000000002', '0198c000-0000-7000-8000-000000000001',
            '0198c000-0000-7000-8000-000000000003', '{m}', 7, '{"a": 1}')`);
  await migrate(database.connection, createLog({ logLevel: 'silent' }));
  const { rows } = await client.query('SELECT version, changed_by, created_at, content FROM route_versions');
  const [made] = (
    await versions((await changeRoute(server, 'createRoute', { name: slug, targets: [{ provider: 'one' }] })).route.id)
  ).nodes;
  expect(rows).toMatchObject([
    {
      ...{ version: 12, changed_by: null, created_at: new Date('2026-11-01T00:00:00Z') },
      content: {
        ...{ slug: 'old', name: 'Old', aliases: ['o'], strategy: 'WEIGHTED', version: 12 },
        targets: [{ models: ['m'], weight: 7, metadata: { a: 1 }, slots: [] }],
      },
    },
  ]);
  // What is read of old and of new versions is written alike.
  expect(Object.keys(rows[0].content).sort()).toEqual(Object.keys(made?.content ?? {}).sort());
  const keys = (content: Version['content']) => Object.keys(content.targets[0] ?? {}).sort();
  expect(keys(rows[0].content)).toEqual(keys(made?.content ?? { targets: [] }));
});
