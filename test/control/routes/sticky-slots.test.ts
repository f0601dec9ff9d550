import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ownerOf, SLOTS } from '../../../src/gateway/routing/slots.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { changeRoute, createProvider, setTrafficSplit, slotsOf } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  for (const slug of ['a', 'b', 'c']) await createProvider(server, slug);
});
afterAll(() => server.close());

let count = 0;
let slug: string;
beforeEach(() => {
  slug = `sticky-${count++}`;
});

/** The provider that owns each slot, as it is served; null: nobody. */
function owners(route = slug): (string | null)[] {
  const { routes, providersById } = server.services.snapshots.current;
  const targets = routes.get(route)?.targets ?? [];
  return Array.from({ length: SLOTS }, (_, slot) => {
    const owner = targets[ownerOf(slot, targets)];
    return owner ? (providersById.get(owner.providerId)?.slug ?? '') : null;
  });
}

function sizes(list: readonly (string | null)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const owner of list) counts[`${owner}`] = (counts[`${owner}`] ?? 0) + 1;
  return counts;
}

const moved = (before: readonly unknown[], after: readonly unknown[]) =>
  after.filter((owner, slot) => owner !== before[slot]).length;

const create = (targets: object[]) => changeRoute(server, 'createRoute', { name: slug, strategy: 'WEIGHTED', targets });
const split = (percentages: Record<string, number>, route = slug) =>
  setTrafficSplit(server, {
    routeId: route,
    targets: Object.entries(percentages).map(([provider, percentage]) => ({ provider, percentage })),
  });

test('a new route divides all slots by the weights of its targets', async () => {
  await create([
    { provider: 'a', weight: 2 },
    { provider: 'b', weight: 1 },
    { provider: 'c', weight: 0 },
  ]);
  expect(sizes(owners())).toEqual({ a: 6_667, b: 3_333 });
});

test('a new split moves as many slots as it must; the same again, in another order, moves none', async () => {
  await create([{ provider: 'a' }]);
  await split({ a: 70, b: 30 });
  const first = owners();
  expect(sizes(first)).toEqual({ a: 7_000, b: 3_000 });
  await split({ a: 60, b: 30, c: 10 });
  const second = owners();
  expect(sizes(second)).toEqual({ a: 6_000, b: 3_000, c: 1_000 });
  expect(moved(first, second)).toBe(1_000);
  await split({ c: 10, a: 60, b: 30 });
  expect(owners()).toEqual(second);
  await split({ a: 60, c: 40 });
  expect(moved(second, owners())).toBe(3_000);
});

test('updateRoute divides them anew with the targets, and leaves them alone without', async () => {
  await create([{ provider: 'a' }, { provider: 'b' }]);
  const before = owners();
  const targets = [{ provider: 'b', weight: 3 }, { provider: 'a' }];
  await changeRoute(server, 'updateRoute', { id: slug, targets });
  const after = owners();
  expect(sizes(after)).toEqual({ a: 2_500, b: 7_500 });
  expect(moved(before, after)).toBe(2_500);
  const ranges = slotsOf(server, slug);
  await changeRoute(server, 'updateRoute', { id: slug, stickyBy: 'USER', name: 'x' });
  expect(slotsOf(server, slug)).toEqual(ranges);
});

test('targets from before there were slots own none until their route is changed in whatever way', async () => {
  await create([{ provider: 'a' }, { provider: 'b' }]);
  const { prisma } = server.services;
  await prisma.routeTarget.updateMany({ where: { route: { slug } }, data: { slots: [] } });
  await changeRoute(server, 'createRoute', { name: `${slug}-other` });
  expect(sizes(owners())).toEqual({ null: SLOTS });
  const { route } = await changeRoute(server, 'updateRoute', { id: slug, stickyBy: 'SESSION' });
  expect(sizes(owners())).toEqual({ a: 5_000, b: 5_000 });
  expect(route.targets.map(({ provider }) => provider?.slug)).toEqual(['a', 'b']);
});

test('without a weight nobody owns a slot', async () => {
  await changeRoute(server, 'createRoute', { name: slug, targets: [{ provider: 'a', weight: 0 }] });
  expect(slotsOf(server, slug)).toEqual([[]]);
});
