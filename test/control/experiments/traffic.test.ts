import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromUsd, toUsd } from '../../../src/platform/money.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { setTrafficSplit } from '../routes/kit.ts';
import { costAnalysis, splitComparison } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

/** A route that splits its requests among models of the sandbox; the ids of its targets. */
async function split(slug: string, targets: { models: string[]; percentage: number }[]): Promise<string[]> {
  await server.query(`mutation { createRoute(input: { name: "${slug}", slug: "${slug}" }) { __typename } }`);
  const { trafficSplit } = await setTrafficSplit(server, {
    routeId: slug,
    targets: targets.map((target) => ({ provider: 'sandbox', ...target })),
  });
  return trafficSplit.targets.map(({ target }) => target.id);
}

/** So many streamed completions, ten at a time, all of which have to be whole. */
async function complete(model: string, times: number): Promise<void> {
  let left = times;
  const client = async () => {
    while (left-- > 0) {
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          ...{ authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
          // So long that what the machine is busy with makes no difference.
          'x-sandbox': 'latencyMs=50',
        },
        body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Which one is cheaper?' }] }),
      });
      expect(await response.text()).toContain('data: [DONE]');
    }
  };
  await Promise.all(Array.from({ length: 10 }, client));
  await server.services.ledger.drained();
}

/** What the rows of the attempts say, by target. */
async function rowsOf(ids: readonly string[]) {
  const { rows } = await server.services.pool.query(
    `SELECT count(*)::text AS requests, count(*) FILTER (WHERE status = 'SUCCEEDED')::text AS succeeded,
            count(*) FILTER (WHERE status = 'FAILED')::text AS failed, sum(cost)::text AS cost,
            avg(latency_ms) FILTER (WHERE status = 'SUCCEEDED')::float8 AS "averageLatencyMs",
            avg(output_tokens) FILTER (WHERE status = 'SUCCEEDED')::float8 AS "averageOutputTokens",
            avg(time_to_first_token_ms) FILTER (WHERE number = 1)::float8 AS "averageTimeToFirstTokenMs"
       FROM attempts WHERE target_id = ANY($1::uuid[]) GROUP BY target_id ORDER BY array_position($1::uuid[], target_id)`,
    [ids],
  );
  return rows.map(({ cost, ...row }) => ({ ...row, cost: toUsd(BigInt(cost)) }));
}

describe('an experiment on real traffic', () => {
  it('finds the cheaper of two models, with the numbers of the ledger everywhere', async () => {
    const ids = await split('sizes', [
      { models: ['sandbox-large'], percentage: 50 },
      { models: ['sandbox-small'], percentage: 50 },
    ]);
    await complete('sizes', 300);
    const comparison = await splitComparison(server, { routeId: 'sizes', range: 'LAST_HOUR' });
    const rows = await rowsOf(ids);
    expect(rows).toMatchObject([{ requests: '150' }, { requests: '150' }]);
    expect(comparison?.variants).toMatchObject(rows.map((row, index) => ({ ...row, id: ids[index] })));
    expect(comparison?.comparisons).toMatchObject([
      { isSampleTooSmall: false, cost: { isSignificant: true }, errorRate: { difference: 0, isSignificant: false } },
    ]);
    expect(comparison?.recommendation.winner).toBe(ids[1]);
    expect(comparison?.recommendation.text).toMatch(/B \(sandbox, sandbox-small\) is \d\d% cheaper \(p < 0.001\)/);

    const costs = await costAnalysis(server, { routeId: 'sizes', range: 'LAST_HOUR' });
    expect(costs?.variants.map(({ cost }) => cost)).toEqual(rows.map(({ cost }) => cost));
    const [saving] = costs?.variants[0]?.savings ?? [];
    expect(fromUsd(saving?.ofAll as string)).toBeGreaterThan(0n);

    // What is recommended can be set as it is.
    const shares = comparison?.recommendation.percentages ?? [];
    const percentage = (id: string) => shares.find(({ variant }) => variant === id)?.percentage ?? 0;
    const again = await split('sizes', [
      { models: ['sandbox-large'], percentage: percentage(ids[0] ?? '') },
      { models: ['sandbox-small'], percentage: percentage(ids[1] ?? '') },
    ]);
    expect(again).toEqual(ids);
  });

  it('finds no difference between two that are the same', async () => {
    await split('twins', [
      { models: ['sandbox-small'], percentage: 50 },
      { models: ['sandbox-small', 'sandbox-large'], percentage: 50 },
    ]);
    await complete('twins', 240);
    const comparison = await splitComparison(server, { routeId: 'twins', range: 'LAST_HOUR' });
    expect(comparison?.variants).toMatchObject([{ requests: '120' }, { requests: '120' }]);
    expect(comparison?.comparisons).toMatchObject([
      { isSampleTooSmall: false, cost: { isSignificant: false }, errorRate: { isSignificant: false } },
    ]);
    expect(comparison?.recommendation.text).not.toContain('cheaper');
  });

  it('sees the failures of a variant that another one stands in for, which no client sees', async () => {
    const ids = await split('hidden', [
      { models: ['sandbox-small'], percentage: 90 },
      { models: ['sandbox-fault-status'], percentage: 10 },
    ]);
    await complete('hidden', 100);
    const comparison = await splitComparison(server, { routeId: 'hidden', range: 'LAST_HOUR' });
    const [small, faulty] = comparison?.variants ?? [];
    expect(comparison?.variants).toMatchObject(await rowsOf(ids));
    expect(small).toMatchObject({ requests: '100', succeeded: '100', failed: '0' });
    expect(faulty).toMatchObject({ succeeded: '0', errorRate: 1 });
    expect(Number(faulty?.failed)).toBeGreaterThan(0);
    expect(comparison?.comparisons[0]).toMatchObject({ isSampleTooSmall: true });
    expect(comparison?.recommendation).toMatchObject({ action: 'WAIT', winner: null });
  });

  it('is what the request log and the metrics show of a variant', async () => {
    const ids = await split('shown', [
      { models: ['sandbox-small'], percentage: 70 },
      { models: ['sandbox-large'], percentage: 30 },
    ]);
    await complete('shown', 100);
    interface Shown {
      metrics: { summary: { requests: string; attempts: string } };
      requests: {
        totalCount: number;
        nodes: { variant: string; isCached: boolean; attempts: { variant: string }[] }[];
      };
    }
    for (const [index, count] of [70, 30].entries()) {
      const { data, errors } = await server.query<Shown, object>(
        `query($variant: ID) { metrics(range: LAST_HOUR, filter: { variant: $variant }) { summary { requests attempts } }
          requests(filter: { variant: $variant }) { totalCount nodes { variant isCached attempts { variant } } } }`,
        { variant: ids[index]?.toUpperCase() },
      );
      expect(errors).toEqual([]);
      expect(data.metrics.summary).toEqual({ requests: `${count}`, attempts: `${count}` });
      expect(data.requests.totalCount).toBe(count);
      const of = { variant: ids[index], isCached: false, attempts: [{ variant: ids[index] }] };
      expect(data.requests.nodes).toEqual(data.requests.nodes.map(() => of));
    }
    const { data } = await server.query<{ complete: object }, object>(
      `mutation { complete(input: { model: "shown", messages: [{ role: USER, content: "Hi" }] }) {
        ... on Completion { variant isCached attempts { variant } } ... on Error { message } } }`,
    );
    const variant = expect.stringMatching(new RegExp(ids.join('|')));
    expect(data.complete).toEqual({ variant, isCached: false, attempts: [{ variant }] });
  });
});
