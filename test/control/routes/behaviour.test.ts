import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, createProvider, findRoute, setTrafficSplit } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await createProvider(server, 'one', [{ name: 'large' }, { name: 'small' }]);
  await createProvider(server, 'two');
});
afterAll(() => server.close());

const version = () => server.services.snapshots.current.version;
const served = (slug: string) => server.services.snapshots.current.routes.get(slug);
const create = (input: object) => changeRoute(server, 'createRoute', input);
const update = (input: object) => changeRoute(server, 'updateRoute', input);

let count = 0;
let slug: string;
beforeEach(() => {
  slug = `behaviour-${count++}`;
});

/** Everything that may be said of how a route works, none of it the default. */
const SAID = {
  mode: 'MULTI',
  allowsPowerLevel: true,
  stickyBy: 'SESSION',
  maxRetries: 0,
  totalTimeoutMs: 3_600_000,
  firstTokenTimeoutMs: 100,
  stallTimeoutMs: 2_500,
  preferredRegions: ['eu', 'US East'],
  restartPolicy: 'OTHER_TARGET',
  refusalPolicy: 'OTHER_TARGET',
  cacheTtlSeconds: 86_400,
};

const NOT_SAID = {
  mode: 'AUTO',
  scoreWeights: null,
  allowsPowerLevel: false,
  stickyBy: null,
  maxRetries: 3,
  totalTimeoutMs: null,
  firstTokenTimeoutMs: null,
  stallTimeoutMs: null,
  fallbacks: [],
  preferredRegions: [],
  restartPolicy: 'NEVER',
  refusalPolicy: 'PROPAGATE',
  cacheTtlSeconds: null,
};

test('what is said of a new route is told back and served, and so are the defaults', async () => {
  const config = { team: 'search' };
  const { route } = await create({ name: slug, ...SAID, config });
  expect(route).toMatchObject({ ...SAID, config });
  expect(served(slug)).toMatchObject(SAID);
  const { route: plain } = await create({ name: `${slug}-plain` });
  expect(plain).toMatchObject({ ...NOT_SAID, config: {} });
  expect(served(`${slug}-plain`)).toMatchObject(NOT_SAID);
});

test('an update keeps what it leaves out; null takes away what can be absent and keeps the rest', async () => {
  const { route } = await create({ name: slug, ...SAID, config: { kept: true } });
  expect((await update({ id: slug, description: 'x' })).route).toMatchObject({ ...SAID, config: { kept: true } });
  const nulls = Object.fromEntries(Object.keys({ ...SAID, fallbacks: 0, config: 0 }).map((field) => [field, null]));
  const gone = { stickyBy: null, totalTimeoutMs: null, firstTokenTimeoutMs: null, stallTimeoutMs: null };
  expect((await update({ id: slug, ...nulls })).route).toEqual({
    ...{ ...route, ...gone, cacheTtlSeconds: null },
    ...{ description: 'x', version: 3 },
  });
});

test.each(['COST', 'LATENCY', 'BALANCED'])('serves the strategy %s of a route and of a target', async (strategy) => {
  const { route } = await create({ name: slug, strategy, targets: [{ provider: 'one', strategy }] });
  expect(route).toMatchObject({ strategy, scoreWeights: null, targets: [{ strategy }] });
  expect(served(slug)).toMatchObject({ strategy, targets: [{ strategy }] });
});

test('a target keeps its strategy until another is said, and has FAILOVER by default', async () => {
  const targets = [{ provider: 'one', strategy: 'COST' }, { provider: 'two' }];
  const strategies = ({ route }: Awaited<ReturnType<typeof create>>) => route.targets.map(({ strategy }) => strategy);
  expect(strategies(await create({ name: slug, targets }))).toEqual(['COST', 'FAILOVER']);
  const kept = [{ provider: 'one' }, { provider: 'two', strategy: 'ROUND_ROBIN' }];
  expect(strategies(await update({ id: slug, targets: kept }))).toEqual(['COST', 'ROUND_ROBIN']);
});

describe('CUSTOM', () => {
  const scoreWeights = { cost: 70, latency: 30, quality: 0 };

  test('has the weights it was given, and loses them with the strategy', async () => {
    const { route } = await create({ name: slug, strategy: 'CUSTOM', scoreWeights });
    expect(route.scoreWeights).toEqual(scoreWeights);
    expect(served(slug)?.scoreWeights).toEqual(scoreWeights);
    expect((await update({ id: slug, strategy: 'CUSTOM', name: 'x' })).route.scoreWeights).toEqual(scoreWeights);
    const others = { cost: 0, latency: 0, quality: 100 };
    expect((await update({ id: slug, scoreWeights: others })).route.scoreWeights).toEqual(others);
    expect((await update({ id: slug, strategy: 'COST' })).route.scoreWeights).toBeNull();
    expect(await update({ id: slug, strategy: 'CUSTOM' })).toMatchObject({ issues: [{ path: 'scoreWeights' }] });
  });

  test('a split takes its weights away', async () => {
    await create({ name: slug, strategy: 'CUSTOM', scoreWeights });
    const { route } = await setTrafficSplit(server, { routeId: slug, targets: [{ provider: 'one', percentage: 100 }] });
    expect(route).toMatchObject({ strategy: 'WEIGHTED', scoreWeights: null });
  });
});

test.each([
  ['CUSTOM without weights', { strategy: 'CUSTOM' }, 'scoreWeights', /must be given/],
  ['weights without CUSTOM', { scoreWeights: { cost: 50, latency: 50, quality: 0 } }, 'scoreWeights', /left out/],
  [
    'weights whose sum is 99',
    { strategy: 'CUSTOM', scoreWeights: { cost: 40, latency: 40, quality: 19 } },
    'scoreWeights',
    /sum of 100, not 99/,
  ],
  [
    'a weight below 0',
    { strategy: 'CUSTOM', scoreWeights: { cost: -1, latency: 100, quality: 1 } },
    'scoreWeights.cost',
    /from 0 to 100$/,
  ],
  ['11 retries', { maxRetries: 11 }, 'maxRetries', /from 0 to 10$/],
  ['a timeout below 100 ms', { totalTimeoutMs: 99 }, 'totalTimeoutMs', /from 100 to 3600000$/],
  [
    'a first token after more than an hour',
    { firstTokenTimeoutMs: 3_600_001 },
    'firstTokenTimeoutMs',
    /from 100 to 3600000$/,
  ],
  ['a stall of no time', { stallTimeoutMs: 0 }, 'stallTimeoutMs', /from 100 to 3600000$/],
  ['answers cached for no time', { cacheTtlSeconds: 0 }, 'cacheTtlSeconds', /from 1 to 86400$/],
  ['answers cached for more than a day', { cacheTtlSeconds: 86_401 }, 'cacheTtlSeconds', /from 1 to 86400$/],
  ['a region of 51 characters', { preferredRegions: ['x'.repeat(51)] }, 'preferredRegions.0', /1 to 50/],
  ['a region twice', { preferredRegions: ['eu', 'eu'] }, 'preferredRegions.1', /twice/],
  [
    '11 regions',
    { preferredRegions: Array.from({ length: 11 }, (_, index) => `r${index}`) },
    'preferredRegions',
    /at most 10/,
  ],
  ['a config that is no object', { config: [1] }, 'config', /object/],
  ['a config of more than 16 KiB', { config: { text: 'x'.repeat(16_384) } }, 'config', /at most 16 KiB/],
])('refuses %s', async (_what, input, path, message) => {
  await create({ name: slug });
  const before = version();
  for (const refused of [await create({ name: `${slug}-new`, ...input }), await update({ id: slug, ...input })]) {
    expect(refused.code).toBe('VALIDATION');
    expect(refused.issues).toEqual([{ path, message: expect.stringMatching(message) }]);
  }
  expect(version()).toBe(before);
  expect(await findRoute(server, slug)).toMatchObject(NOT_SAID);
});
