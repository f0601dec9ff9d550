import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareMeans } from '../../../src/control/experiments/statistics/means.ts';
import { compareProportions } from '../../../src/control/experiments/statistics/proportions.ts';
import { toUsd } from '../../../src/platform/money.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { createProvider, findRoute, setTrafficSplit } from '../routes/kit.ts';
import { type Call, logCalls, recordComparison, type SplitComparison, splitComparison } from './kit.ts';
import { random } from './random.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  for (const slug of ['one', 'two', 'three']) await createProvider(server, slug, [{ name: 'm' }, { name: 'n' }]);
});
afterAll(() => server.close());

let made = 0;

/** A route with a split of its own; the ids of its targets. */
async function split(...percentages: number[]): Promise<{ routeId: string; ids: string[] }> {
  const slug = `split-${++made}`;
  await server.query('mutation($input: CreateRouteInput!) { createRoute(input: $input) { __typename } }', {
    input: { name: slug, slug },
  });
  const targets = percentages.map((percentage, index) => ({ provider: ['one', 'two', 'three'][index], percentage }));
  const { trafficSplit } = await setTrafficSplit(server, { routeId: slug, targets });
  const ids = trafficSplit.targets.map(({ target }) => target.id);
  return { routeId: (await findRoute(server, slug))?.id ?? '', ids };
}

async function compare(routeId: string, input: object = {}): Promise<SplitComparison> {
  const found = await splitComparison(server, { routeId, range: 'LAST_HOUR', ...input });
  if (!found) throw new Error('There is no such route.');
  return found;
}

/** Calls with a long tail of latencies around `latency`, some of which fail. */
function calls(
  targetId: string,
  seed: number,
  how: { count: number; failures: number; latency: number; cost: number },
): Call[] {
  const next = random(seed);
  return Array.from({ length: how.count }, (_, index): Call => {
    const latencyMs = Math.round(-how.latency * Math.log(1 - next()));
    const cost = BigInt(Math.round(how.cost * (0.5 + next())));
    // Failures are quick, and cost nothing.
    if (index < how.failures) return { targetId, status: 'FAILED', latencyMs: 1, cost: 0n };
    return { targetId, latencyMs, firstTokenMs: Math.round(latencyMs / 4), cost };
  });
}

const ok = ({ status = 'SUCCEEDED' }: Call) => status === 'SUCCEEDED';
const latencies = (all: readonly Call[]) => all.filter(ok).map(({ latencyMs = 0 }) => latencyMs);
const sampleOf = (values: readonly number[]) => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { count: values.length, mean, variance };
};
/** The nearest rank. */
const percentile = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.ceil(share * values.length) - 1];
const costOf = (all: readonly Call[]) => all.reduce((sum, { cost }) => sum + (cost ?? 0n), 0n);

describe('splitComparison', () => {
  it('tells what the calls of each variant were, and how they differ', async () => {
    const { routeId, ids } = await split(50, 50);
    const [a = '', b = ''] = ids;
    const [first, second] = [
      calls(a, 1, { count: 400, failures: 8, latency: 900, cost: 2_000 }),
      calls(b, 2, { count: 300, failures: 6, latency: 600, cost: 1_300 }),
    ];
    await logCalls(server, routeId, [...first, ...second]);
    const { variants, comparisons, recommendation, baseline } = await compare(routeId);
    expect(baseline).toBe(a);
    for (const [index, all] of [first, second].entries()) {
      const { mean } = sampleOf(latencies(all));
      expect(variants[index]).toMatchObject({
        ...{ id: ids[index], label: 'AB'[index], provider: ['one', 'two'][index], models: [], percentage: 50 },
        ...{ requests: `${all.length}`, succeeded: `${all.filter(ok).length}`, failed: ['8', '6'][index] },
        ...{ errorRate: 0.02, sampled: all.length, averageLatencyMs: expect.closeTo(mean, 6) },
        latencyP50Ms: percentile(latencies(all), 0.5),
        latencyP95Ms: percentile(latencies(all), 0.95),
        latencyP99Ms: percentile(latencies(all), 0.99),
        ...{ cost: toUsd(costOf(all)), unpricedRequests: '0', averageInputTokens: 10, averageOutputTokens: 20 },
      });
    }
    const [comparison] = comparisons;
    const errors = compareProportions({ events: 8, trials: 400 }, { events: 6, trials: 300 });
    expect(comparison?.errorRate).toMatchObject({ ...errors, isSignificant: false, adjustedPValue: errors?.pValue });
    const latency = compareMeans(sampleOf(latencies(first)), sampleOf(latencies(second)));
    expect(comparison?.latencyMs?.difference).toBeCloseTo(latency.difference, 6);
    expect(comparison?.latencyMs?.low).toBeCloseTo(latency.low, 6);
    expect(comparison?.latencyMs?.pValue).toBeCloseTo(latency.pValue, 9);
    const costs = (all: readonly Call[]) => sampleOf(all.filter(ok).map(({ cost }) => Number(cost)));
    const cost = compareMeans(costs(first), costs(second));
    expect(comparison?.cost?.difference).toBe(toUsd(BigInt(Math.round(cost.difference))));
    expect(comparison).toMatchObject({ isSampleTooSmall: false, missing: null });
    expect(recommendation).toMatchObject({ action: 'SHIFT', winner: b });
    expect(recommendation.text).toMatch(/B \(two\) is 3\d% cheaper \(p < 0.001\), \d\d% faster/);
    expect(recommendation.percentages.reduce((sum, { percentage }) => sum + percentage, 0)).toBe(100);
  });

  it('finds no difference where there is none, and says so', async () => {
    const { routeId, ids } = await split(50, 50);
    const how = { count: 500, failures: 10, latency: 700, cost: 1_000 };
    await logCalls(
      server,
      routeId,
      ids.flatMap((id, index) => calls(id, 10 + index, how)),
    );
    const { comparisons, recommendation } = await compare(routeId);
    const [comparison] = comparisons;
    for (const one of [comparison?.errorRate, comparison?.latencyMs, comparison?.timeToFirstTokenMs, comparison?.cost])
      expect(one).toMatchObject({ isSignificant: false });
    expect(recommendation).toMatchObject({ action: 'KEEP', winner: null, percentages: [] });
    expect(recommendation.text).toContain('no difference is beyond chance');
  });

  it('says that a sample is too small, and what is missing', async () => {
    const { routeId, ids } = await split(50, 50);
    const [a = '', b = ''] = ids;
    await logCalls(server, routeId, [
      ...calls(a, 3, { count: 120, failures: 0, latency: 900, cost: 5_000 }),
      ...calls(b, 4, { count: 99, failures: 0, latency: 100, cost: 10 }),
    ]);
    const { comparisons, recommendation } = await compare(routeId);
    expect(comparisons).toMatchObject([
      {
        isSampleTooSmall: true,
        missing: 'A comparison needs 100 requests that succeeded or failed of each variant; B has 99.',
        cost: { isSignificant: false },
      },
    ]);
    expect(recommendation).toMatchObject({ action: 'WAIT', winner: null });
    await logCalls(server, routeId, [{ targetId: b, cost: 10n }]);
    expect(await compare(routeId)).toMatchObject({
      comparisons: [{ isSampleTooSmall: false }],
      recommendation: { action: 'SHIFT' },
    });
  });

  it('counts whose client left, and whose server died, neither as answers nor as failures', async () => {
    const { routeId, ids } = await split(50, 50);
    const [a = '', b = ''] = ids;
    const outcomes: Call[] = [
      { targetId: b },
      { targetId: b, status: 'FAILED', cost: 0n },
      { targetId: b, status: 'CANCELLED', latencyMs: 90_000 },
      { targetId: b, status: 'INDETERMINATE', latencyMs: 90_000, cost: null },
    ];
    await logCalls(server, routeId, [{ targetId: a }, ...outcomes]);
    const { variants, comparisons } = await compare(routeId);
    expect(variants[1]).toMatchObject({
      ...{ requests: '4', succeeded: '1', failed: '1', cancelled: '1', indeterminate: '1', errorRate: 0.5 },
      ...{ sampled: 4, averageLatencyMs: 100, latencyP99Ms: 100, unpricedRequests: '1' },
      // Two of 1,000 and one that failed for nothing.
      ...{ cost: '0.000000002', averageCost: '0.000000000667' },
    });
    expect(comparisons[0]).toMatchObject({
      errorRate: { difference: 0.5, test: 'FISHER_EXACT' },
      latencyMs: null,
      cost: null,
    });
  });

  it('takes the time to the first token of those that stood in for nobody', async () => {
    const { routeId, ids } = await split(100);
    const [a = ''] = ids;
    await logCalls(server, routeId, [
      { targetId: a, firstTokenMs: 10 },
      { targetId: a, firstTokenMs: 30 },
      { targetId: a, firstTokenMs: null },
      { targetId: a, firstTokenMs: 5_000, number: 2 },
    ]);
    const { variants, recommendation } = await compare(routeId);
    expect(variants).toMatchObject([
      { sampled: 4, averageTimeToFirstTokenMs: 20, timeToFirstTokenP50Ms: 10, timeToFirstTokenP95Ms: 30 },
    ]);
    expect(recommendation).toMatchObject({ action: 'WAIT', text: 'A comparison needs two targets; the route has 1.' });
  });

  it('counts judgements for the variants that they name, and in the recommendation', async () => {
    const { routeId, ids } = await split(34, 33, 33);
    const [a = '', b = '', c = ''] = ids;
    const how = { count: 120, failures: 0, latency: 700, cost: 1_000 };
    await logCalls(
      server,
      routeId,
      ids.flatMap((id) => calls(id, 20, how)),
    );
    const judge = async (times: number, variantA: string | null, variantB: string | null, winner: string) => {
      for (let index = 0; index < times; index++)
        await recordComparison(server, { routeId, variantA, variantB, winner });
    };
    await judge(14, a, b, 'B');
    await judge(6, b, a, 'A');
    await judge(1, b, a, 'B');
    await judge(2, b, a, 'TIE');
    await judge(3, c, b, 'A');
    await judge(1, c, null, 'B');
    const { variants, comparisons, recommendation } = await compare(routeId);
    expect(variants).toMatchObject([
      { wins: 1, losses: 20, ties: 2 },
      { wins: 20, losses: 4, ties: 2 },
      { wins: 3, losses: 1, ties: 0 },
    ]);
    expect(comparisons).toMatchObject([
      { variant: b, judged: { wins: 20, losses: 1, ties: 2, isSignificant: true } },
      { variant: c, judged: null },
    ]);
    expect(recommendation).toMatchObject({ winner: b });
    expect(recommendation.text).toContain('judged better in 20 of 21 (p < 0.001)');
    const turned = await compare(routeId, { baseline: b.toUpperCase() });
    expect(turned.baseline).toBe(b);
    expect(turned.comparisons).toMatchObject([
      { variant: a, baseline: b, judged: { wins: 1, losses: 20 } },
      { variant: c, baseline: b, judged: { wins: 3, losses: 0, isSignificant: false } },
    ]);
  });

  it('is of the span that was asked for', async () => {
    const { routeId, ids } = await split(100);
    await logCalls(server, routeId, [{ targetId: ids[0] ?? '' }]);
    await recordComparison(server, { routeId, variantA: ids[0] });
    const before = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' };
    const empty = await compare(routeId, before);
    expect(empty).toMatchObject({
      ...{ from: '2026-01-01T00:00:00.000Z', to: '2026-01-02T00:00:00.000Z' },
      variants: [{ requests: '0', sampled: 0, errorRate: null, averageCost: null, latencyP50Ms: null, wins: 0 }],
    });
    expect((await compare(routeId)).variants).toMatchObject([{ requests: '1', sampled: 1, wins: 1 }]);
  });

  it('is null for a route that is not there, and empty for one without targets', async () => {
    expect(await splitComparison(server, { routeId: 'nowhere' })).toBeNull();
    expect(await compare('default')).toMatchObject({
      ...{ variants: [], comparisons: [], baseline: null },
      recommendation: { action: 'WAIT', text: 'A comparison needs two targets; the route has none.' },
    });
  });

  it('refuses a baseline that is no target of the route, and wrong spans', async () => {
    const { routeId } = await split(100);
    for (const [input, path] of [
      [{ baseline: routeId }, 'input.baseline'],
      [{ baseline: 'A' }, 'input.baseline'],
      [{ to: '2026-01-01T00:00:00Z' }, 'from'],
    ] as const) {
      const { errors } = await server.query(
        'query($input: SplitComparisonInput!) { splitComparison(input: $input) { baseline } }',
        { input: { routeId, ...input } },
      );
      expect(`${errors[0]?.extensions.code}: ${errors[0]?.message}`).toMatch(`VALIDATION: ${path}: `);
    }
  });

  it('looks at the newest 100,000 calls of a variant one by one, and counts all', async () => {
    const { routeId, ids } = await split(100);
    const [a = ''] = ids;
    await logCalls(server, routeId, [{ targetId: a }]);
    // As the drain would have written them: an hour's calls, the oldest of which took longer.
    const { pool } = server.services;
    await pool.query(
      `INSERT INTO attempts (id, completion_id, number, started_at, finished_at, status, provider_id, provider_slug,
         model, is_estimated, latency_ms, cost, target_id, used_own_key)
       SELECT overlay(gen_random_uuid()::text placing substr(lpad(to_hex(ms), 12, '0'), 1, 8) || '-' || substr(lpad(to_hex(ms), 12, '0'), 9) from 1 for 13)::uuid,
         gen_random_uuid(), 1, now(), now(), 'SUCCEEDED', gen_random_uuid(), 'one', 'm', false,
         CASE WHEN n > 99999 THEN 9000 ELSE 100 END, 1000, $1, false
       FROM (SELECT n, (extract(epoch FROM now()) * 1000)::bigint - 1000 - n AS ms FROM generate_series(1, 100500) AS n) AS calls`,
      [a],
    );
    const { variants } = await compare(routeId);
    expect(variants).toMatchObject([{ sampled: 100_000, latencyP99Ms: 100, averageLatencyMs: 100 }]);
  });
});
