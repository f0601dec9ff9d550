import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashApiKey } from '../../../src/platform/crypto.ts';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { countingPool, executeWith } from '../execute.ts';

const SUMMARY = `requests succeeded failed cancelled indeterminate attempts inputTokens outputTokens totalTokens cachedTokens
  reasoningTokens cost averageCost unpricedRequests averageLatencyMs latencyP50Ms latencyP75Ms latencyP95Ms latencyP99Ms
  averageTimeToFirstTokenMs errorRate uniqueUsers`;
const METRICS = `query($range: MetricsRange, $from: DateTime, $to: DateTime, $filter: MetricsFilter) {
  metrics(range: $range, from: $from, to: $to, filter: $filter) { from to summary { ${SUMMARY} } } }`;

type Summary = Record<string, string | number | null>;
interface Metrics {
  from: string;
  to: string;
  summary: Summary;
}

let server: TestServer;
let user: { id: string; token: string };
const USER_KEY = { apiKey: `sbx_${'u'.repeat(40)}` };

beforeAll(async () => {
  server = await startServer();
  const { prisma, tokens, ledger } = server.services;
  const { id } = await prisma.user.create({ data: { email: 'user@example.com', passwordHash: '-' } });
  user = { id, token: await tokens.sign(id) };
  const hash = new Uint8Array(hashApiKey(USER_KEY.apiKey));
  await prisma.apiKey.create({ data: { ownerId: id, name: 'plain', hash, hint: 'sbx_…uuuu' } });
  await complete('sandbox-small');
  await complete('sandbox-large', user);
  await complete('sandbox-large', USER_KEY);
  await complete('sandbox-fault-status', user);
  await deleteModel('sandbox/sandbox-small');
  await complete('sandbox/sandbox-small', user);
  await ledger.drained();
});
afterAll(() => server.close());

async function complete(model: string, credential?: Credential): Promise<void> {
  const { errors } = await server.query(
    `mutation($input: CompletionInput!) { complete(input: $input) { __typename } }`,
    { input: { model, messages: [{ role: 'USER', content: 'Hi' }] } },
    credential,
  );
  expect(errors).toEqual([]);
}

/** Takes a model out of the catalog; the provider still knows it. */
async function deleteModel(id: string): Promise<void> {
  const { data } = await server.query<{ deleteModel: { __typename: string } }, object>(
    'mutation($id: ID!) { deleteModel(id: $id) { __typename } }',
    { id },
  );
  expect(data.deleteModel.__typename).toBe('DeleteModelSuccess');
}

async function metrics(variables: object = {}, credential?: Credential): Promise<Metrics> {
  const { data, errors } = await server.query<{ metrics: Metrics }, object>(METRICS, variables, credential);
  expect(errors).toEqual([]);
  return data.metrics;
}

describe('the summary', () => {
  it('equals the sums of the ledger', async () => {
    const { rows } = await server.services.pool.query<Summary>(
      `SELECT count(*)::text AS requests, count(*) FILTER (WHERE status = 'SUCCEEDED')::text AS succeeded,
              count(*) FILTER (WHERE status = 'FAILED')::text AS failed, sum(input_tokens)::text AS "inputTokens",
              sum(output_tokens)::text AS "outputTokens", sum(cost)::text AS cost,
              avg(latency_ms)::float AS "averageLatencyMs",
              (SELECT count(*)::text FROM attempts) AS attempts FROM completions`,
    );
    const [ledger] = rows;
    const { summary } = await metrics();
    expect(summary).toMatchObject({
      requests: '5',
      succeeded: '4',
      failed: '1',
      cancelled: '0',
      attempts: ledger?.attempts,
      inputTokens: ledger?.inputTokens,
      outputTokens: ledger?.outputTokens,
      averageLatencyMs: ledger?.averageLatencyMs,
      unpricedRequests: '1',
      errorRate: 0.2,
      uniqueUsers: 2,
    });
    expect(summary.succeeded).toBe(ledger?.succeeded);
    expect(summary.failed).toBe(ledger?.failed);
    const cost = BigInt(Math.round(Number(summary.cost) * 1e12));
    expect(cost).toBe(BigInt(ledger?.cost ?? 0));
    expect(Number(summary.averageCost)).toBeCloseTo(Number(summary.cost) / 4, 12);
    expect(BigInt(summary.totalTokens ?? 0)).toBe(BigInt(ledger?.inputTokens ?? 0) + BigInt(ledger?.outputTokens ?? 0));
  });

  it('has percentiles that rise and lie within the latencies there were', async () => {
    const { rows } = await server.services.pool.query<{ least: number; most: number }>(
      'SELECT min(latency_ms) AS least, max(latency_ms) AS most FROM completions',
    );
    const { latencyP50Ms, latencyP75Ms, latencyP95Ms, latencyP99Ms } = (await metrics()).summary;
    const all = [latencyP50Ms, latencyP75Ms, latencyP95Ms, latencyP99Ms] as number[];
    expect(all).toEqual([...all].sort((a, b) => a - b));
    expect(all[0]).toBeGreaterThanOrEqual((rows[0]?.least ?? 0) * 0.95);
    expect(all[3]).toBeLessThanOrEqual((rows[0]?.most ?? 0) * 1.05);
    expect(all[3]).toBeGreaterThanOrEqual((rows[0]?.most ?? 0) * 0.95);
  });

  it('is the same from minutes and from hours', async () => {
    const ago = (hours: number) => new Date(Date.now() - hours * 3_600_000);
    const [minutes, hours] = [await metrics({ from: ago(12) }), await metrics({ from: ago(48) })];
    expect(minutes.summary).toEqual(hours.summary);
    expect(hours.from).toMatch(/:00:00\.000Z$/);
  });

  it('costs two statements with percentiles, one without, and none when it is not asked for', async () => {
    const counts: number[] = [];
    for (const fields of [`summary { ${SUMMARY} }`, 'summary { requests cost }', 'from']) {
      const { pool, count } = countingPool(server);
      const { errors } = await executeWith(server, { pool }, `{ metrics { ${fields} } }`);
      expect(errors).toBeUndefined();
      counts.push(count());
    }
    expect(counts).toEqual([2, 1, 0]);
  });

  it('runs two statements at once, however many numbers are asked for, so that others get connections', async () => {
    let running = 0;
    let most = 0;
    const query = async (sql: string, values: unknown[]) => {
      running += 1;
      most = Math.max(most, running);
      return server.services.pool.query(sql, values).finally(() => {
        running -= 1;
      });
    };
    const many = Array.from({ length: 40 }, (_, index) => `m${index}: metrics { summary { requests latencyP99Ms } }`);
    const { errors } = await executeWith(server, { pool: { query } as unknown as Pool }, `{ ${many.join(' ')} }`);
    expect(errors).toBeUndefined();
    expect(most).toBe(2);
  });

  it.each<[string, object, string]>([
    ['status', { status: 'FAILED' }, '1'],
    ['provider', { provider: 'sandbox' }, '5'],
    ['model', { model: 'sandbox-large' }, '2'],
    ['route', { route: 'default' }, '0'],
    ['texts that Postgres refuses', { model: '\0' }, '0'],
  ])('is filtered by %s', async (_what, filter, requests) => {
    expect((await metrics({ filter })).summary.requests).toBe(requests);
  });

  it('shows a user only what is theirs, also what their API keys did', async () => {
    expect((await metrics({}, user)).summary).toMatchObject({ requests: '4', uniqueUsers: 1 });
    expect((await metrics({ filter: { userId: user.id } })).summary.requests).toBe('4');
    expect((await metrics({ filter: { userId: user.id.toUpperCase() } }, user)).summary.requests).toBe('4');
    const { id } = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
    const { errors } = await server.query(METRICS, { filter: { userId: id } }, user);
    expect(errors[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it('is empty, not wrong, where nothing happened', async () => {
    const { summary, from, to } = await metrics({ from: '2025-01-01T00:00:30Z', to: '2025-01-01T00:01:30Z' });
    expect([from, to]).toEqual(['2025-01-01T00:00:00.000Z', '2025-01-01T00:02:00.000Z']);
    expect(summary).toMatchObject({
      requests: '0',
      cost: '0',
      averageCost: null,
      averageLatencyMs: null,
      latencyP99Ms: null,
      errorRate: null,
      uniqueUsers: 0,
    });
  });

  it('is refused for malformed ids and spans', async () => {
    for (const variables of [
      { filter: { userId: 'x' } },
      { filter: { apiKeyId: 'x' } },
      { filter: { variant: 'x' } },
      { to: '2025-01-01T00:00:00Z' },
      { from: '2025-01-02T00:00:00Z', to: '2025-01-01T00:00:00Z' },
    ]) {
      const { errors } = await server.query(METRICS, variables);
      expect(errors[0]?.extensions.code).toBe('VALIDATION');
    }
  });
});
