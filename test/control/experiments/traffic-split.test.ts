import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, createProvider, findRoute, type SplitOutcome, setTrafficSplit, TARGET } from '../routes/kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await createProvider(server, 'one', [{ name: 'large' }, { name: 'small' }, { name: 'off', isEnabled: false }]);
  await createProvider(server, 'two');
});
afterAll(() => server.close());

let count = 0;
let routeId: string;
beforeEach(async () => {
  routeId = `split-${count++}`;
  await changeRoute(server, 'createRoute', { name: routeId });
});

const version = () => server.services.snapshots.current.version;
const split = (input: object) => setTrafficSplit(server, { routeId, ...input });

async function readSplit(id: string): Promise<SplitOutcome['trafficSplit'] | null> {
  const { data, errors } = await server.query<{ trafficSplit: SplitOutcome['trafficSplit'] | null }, object>(
    `query($id: ID!) { trafficSplit(routeId: $id) { strategy isSplit targets { percentage target { ${TARGET} } } } }`,
    { id },
  );
  expect(errors).toEqual([]);
  return data.trafficSplit;
}

describe('setTrafficSplit', () => {
  test('makes percentages the weights of the targets, and is served at once', async () => {
    const metadata = { hypothesis: 'cheaper' };
    const targets = [
      { provider: 'one', percentage: 70, metadata },
      { provider: 'two', models: ['m'], percentage: 30 },
    ];
    const set = await split({ targets, version: 1 });
    expect(set.trafficSplit).toMatchObject({
      ...{ strategy: 'WEIGHTED', isSplit: true },
      targets: [
        { percentage: 70, target: { provider: { slug: 'one' }, models: [], weight: 70, percentage: 70, metadata } },
        { percentage: 30, target: { provider: { slug: 'two' }, models: ['m'], weight: 30, percentage: 30 } },
      ],
    });
    expect(set.route).toMatchObject({ slug: routeId, strategy: 'WEIGHTED', mode: 'AUTO', version: 2 });
    expect(await readSplit(routeId)).toEqual(set.trafficSplit);
    expect(await readSplit(set.route.id)).toEqual(set.trafficSplit);
    const served = server.services.snapshots.current.routes.get(routeId);
    expect(served).toMatchObject({ strategy: 'WEIGHTED', version: 2, targets: [{ weight: 70 }, { weight: 30 }] });
  });

  test('the same targets keep id, priority and metadata; others come and go', async () => {
    const targets = [
      { provider: 'one', models: ['small', 'large'], priority: 9, metadata: { kept: true } },
      { provider: 'two', priority: 1 },
    ];
    const { route } = await changeRoute(server, 'updateRoute', { id: routeId, targets });
    const set = await split({
      targets: [
        { provider: 'one', models: ['large', 'small'], percentage: 40 },
        { provider: 'one', models: ['small'], percentage: 60 },
      ],
    });
    expect(set.route.targets).toMatchObject([
      { id: route.targets[1]?.id, priority: 9, metadata: { kept: true }, weight: 40 },
      { models: ['small'], priority: 100, metadata: {}, weight: 60 },
    ]);
    expect(set.route.targets).toHaveLength(2);
  });

  test('leaves the mode as it is: clients that send hints go on', async () => {
    await changeRoute(server, 'updateRoute', { id: routeId, mode: 'SPECIFIC' });
    expect((await split({ targets: [{ provider: 'one', percentage: 100 }] })).route.mode).toBe('SPECIFIC');
  });

  test.each([
    ['a sum below 100', [70, 29], 'targets', /sum is 100, not 99$/],
    ['a sum above 100', [70, 31], 'targets', /sum is 100, not 101$/],
    ['a percentage below 0', [101, -1], 'targets.0.percentage', /from 0 to 100/],
    ['no targets', [], 'targets', /at least 1/],
  ])('refuses %s and says so', async (_what, percentages, path, message) => {
    const before = version();
    const targets = percentages.map((percentage, index) => ({ provider: index === 0 ? 'one' : 'two', percentage }));
    const refused = await split({ targets });
    expect(refused.code).toBe('VALIDATION');
    expect(refused.issues?.[0]).toEqual({ path, message: expect.stringMatching(message) });
    expect(version()).toBe(before);
    expect(await findRoute(server, routeId)).toMatchObject({ strategy: 'FAILOVER', version: 1, targets: [] });
  });

  test('refuses the same target twice, and models that are not there', async () => {
    const targets = [
      { provider: 'one', models: ['large', 'small'], percentage: 50 },
      { provider: 'one', models: ['small', 'large'], percentage: 50 },
    ];
    expect((await split({ targets })).issues?.[0]?.path).toBe('targets.1');
    const unknown = await split({ targets: [{ provider: 'one', models: ['larg'], percentage: 100 }] });
    expect(unknown.issues?.[0]).toMatchObject({
      path: 'targets.0.models.0',
      message: expect.stringContaining('large'),
    });
  });

  test('refuses who could not take the share, unless the share is 0', async () => {
    const half = { provider: 'one', percentage: 50 };
    // Disabled until it gets a key.
    const keyless = await split({ targets: [half, { provider: 'openai', percentage: 50 }] });
    expect(keyless.issues).toEqual([{ path: 'targets.1.provider', message: expect.stringContaining('has no key') }]);
    const off = await split({ targets: [half, { provider: 'one', models: ['off'], percentage: 50 }] });
    expect(off.issues).toEqual([
      { path: 'targets.1.provider', message: expect.stringContaining('none of these models') },
    ]);
    await server.query('mutation { updateProvider(input: { id: "two", isEnabled: false }) { __typename } }');
    const disabled = await split({ targets: [half, { provider: 'two', percentage: 50 }] });
    expect(disabled.issues).toEqual([{ path: 'targets.1.provider', message: expect.stringContaining('is disabled') }]);
    const whole = await split({
      targets: [
        { ...half, percentage: 100 },
        { provider: 'two', percentage: 0 },
      ],
    });
    expect(whole.trafficSplit.targets.map(({ percentage }) => percentage)).toEqual([100, 0]);
    await server.query('mutation { updateProvider(input: { id: "two", isEnabled: true }) { __typename } }');
  });

  test('refuses a route, a provider or a version that is not there', async () => {
    const before = version();
    const targets = [{ provider: 'one', percentage: 100 }];
    expect(await setTrafficSplit(server, { routeId: 'nowhere', targets })).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    expect(await split({ targets: [{ provider: 'nobody', percentage: 100 }] })).toMatchObject({
      code: 'PROVIDER_NOT_FOUND',
    });
    expect(await split({ targets, version: 2 })).toMatchObject({ code: 'CONFLICT' });
    expect(version()).toBe(before);
    expect(await readSplit('nowhere')).toBeNull();
  });

  test('takes whatever whole percentages add up to 100, and tells them back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(100), fc.nat(100), async (a, b) => {
        const [first, second] = a < b ? [a, b] : [b, a];
        const percentages = [first, second - first, 100 - second];
        const [one, small, two] = percentages;
        const targets = [
          { provider: 'one', percentage: one },
          { provider: 'one', models: ['small'], percentage: small },
          { provider: 'two', percentage: two },
        ];
        const set = await split({ targets });
        expect(set.trafficSplit.targets.map(({ percentage }) => percentage)).toEqual(percentages);
      }),
      { numRuns: 15 },
    );
  });
});

test('trafficSplit of a route that does not split tells no percentages', async () => {
  await changeRoute(server, 'updateRoute', { id: routeId, strategy: 'ROUND_ROBIN', targets: [{ provider: 'one' }] });
  expect(await readSplit(routeId)).toMatchObject({
    ...{ strategy: 'ROUND_ROBIN', isSplit: false },
    targets: [{ percentage: null, target: { percentage: null } }],
  });
});

test('activateProvider clears the split of `default`, and tells it; a second time there is nothing to tell', async () => {
  const { route } = await setTrafficSplit(server, {
    routeId: 'default',
    targets: [
      { provider: 'one', percentage: 50 },
      { provider: 'two', percentage: 50 },
    ],
  });
  const activate = () => server.query('mutation { activateProvider(id: "two") { __typename } }');
  await activate();
  const after = await findRoute(server, 'default');
  expect(after).toMatchObject({ strategy: 'FAILOVER', targets: [], version: route.version + 1 });
  await activate();
  expect(await findRoute(server, 'default')).toEqual(after);
  const events = await server.services.prisma.event.findMany({ orderBy: { seq: 'desc' }, take: 2 });
  const activated = { action: 'ACTIVATED', subject: 'PROVIDER', name: 'two' };
  expect(events.map(({ payload }) => (payload as { changes: object[] }).changes)).toMatchObject([
    [activated],
    [activated, { action: 'UPDATED', subject: 'ROUTE', name: 'default' }],
  ]);
});
