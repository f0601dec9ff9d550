import { afterAll, beforeAll, expect, it } from 'vitest';
import { fromUsd } from '../../../src/platform/money.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { createProvider, setTrafficSplit } from '../routes/kit.ts';
import { costAnalysis, logCalls } from './kit.ts';

let server: TestServer;
let routeId: string;
let ids: string[];
beforeAll(async () => {
  server = await startServer();
  for (const slug of ['one', 'two', 'three']) await createProvider(server, slug);
  const { route, trafficSplit } = await setTrafficSplit(server, {
    routeId: 'default',
    targets: [
      { provider: 'one', models: ['m'], percentage: 60 },
      { provider: 'two', percentage: 30 },
      { provider: 'three', percentage: 10 },
    ],
  });
  routeId = route.id;
  ids = trafficSplit.targets.map(({ target }) => target.id);
  const [a = '', b = '', c = ''] = ids;
  await logCalls(server, routeId, [
    ...Array.from({ length: 60 }, () => ({ targetId: a, cost: 30_000_000_001n })),
    ...Array.from({ length: 20 }, () => ({ targetId: b, cost: 10_000_000_000n })),
    ...Array.from({ length: 10 }, () => ({ targetId: b, cost: null })),
    ...Array.from({ length: 5 }, () => ({ targetId: c, cost: null })),
  ]);
});
afterAll(() => server.close());

it('tells what each variant cost, exactly, and which calls have no price', async () => {
  const found = await costAnalysis(server, { routeId: 'default', range: 'LAST_HOUR' });
  expect(found).toMatchObject({
    ...{ route: { slug: 'default' }, requests: '95', unpricedRequests: '15', cost: '2.00000000006', monthlyCost: null },
    variants: [
      { id: ids[0], label: 'A', provider: 'one', models: ['m'], percentage: 60, requests: '60', unpricedRequests: '0' },
      { id: ids[1], label: 'B', requests: '30', unpricedRequests: '10', cost: '0.2', averageCost: '0.01' },
      { id: ids[2], label: 'C', requests: '5', unpricedRequests: '5', cost: '0', averageCost: null, monthlyCost: null },
    ],
  });
  expect(found?.variants[0]).toMatchObject({ cost: '1.80000000006', averageCost: '0.030000000001' });
});

it('projects 30 days at the present volume, and what moving requests would save', async () => {
  const found = await costAnalysis(server, { routeId, range: 'LAST_24_HOURS' });
  const [a, b, c] = found?.variants ?? [];
  const days = found?.measuredDays ?? 0;
  // The first call was made a minute or two ago at the most, and a minute is the shortest.
  expect(days).toBeGreaterThanOrEqual(1 / 1_440);
  expect(days).toBeLessThan(5 / 1_440);
  const usd = (text: unknown) => Number(fromUsd(text as string)) / 1e12;
  expect(Number(a?.monthlyRequests)).toBeCloseTo((60 * 30) / days, -1);
  expect(usd(a?.monthlyCost)).toBeCloseTo((1.8 * 30) / days, 1);
  // Unpriced ones cost what the others do.
  expect(usd(b?.monthlyCost)).toBeCloseTo((0.3 * 30) / days, 1);
  expect(a?.savings).toMatchObject([{ to: b?.id }, { to: c?.id, ofAll: null, ofTenPercent: null }]);
  expect(usd(a?.savings[0]?.ofAll)).toBeCloseTo((1.2 * 30) / days, 1);
  expect(usd(a?.savings[0]?.ofTenPercent)).toBeCloseTo((0.12 * 30) / days, 2);
  expect(usd(b?.savings[0]?.ofAll)).toBeCloseTo((-0.6 * 30) / days, 1);
});

it('is null for a route that is not there, and all zeros where nothing was asked', async () => {
  expect(await costAnalysis(server, { routeId: 'nowhere' })).toBeNull();
  const past = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' };
  expect(await costAnalysis(server, { routeId, ...past })).toMatchObject({
    ...{ measuredDays: 0, requests: '0', cost: '0', monthlyCost: '0' },
    variants: [{ monthlyRequests: '0', monthlyCost: null }, {}, {}],
  });
});
