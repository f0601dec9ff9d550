import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { connectProviders, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { countingPool, executeWith } from '../execute.ts';

const SUMS = `provider attempts succeeded failed cancelled indeterminate inputTokens outputTokens cachedTokens cost
  unpricedAttempts averageLatencyMs averageTimeToFirstTokenMs errorRate share`;
const PROVIDERS = `${SUMS} latencyP50Ms latencyP95Ms latencyP99Ms`;
const METRICS = `query($range: MetricsRange, $from: DateTime, $to: DateTime, $filter: MetricsFilter) {
  metrics(range: $range, from: $from, to: $to, filter: $filter) { summary { requests attempts } providers { ${PROVIDERS} } } }`;

type Row = Record<string, string | number | null> & { provider: string };
interface Metrics {
  summary: { requests: string; attempts: string };
  providers: Row[];
}

let server: TestServer;
let user: { id: string; token: string };
let upstreams: { shaky: Upstream; steady: Upstream };

beforeAll(async () => {
  server = await startServer();
  const { prisma, tokens, ledger } = server.services;
  const { id } = await prisma.user.create({ data: { email: 'user@example.com', passwordHash: '-' } });
  user = { id, token: await tokens.sign(id) };
  let calls = 0;
  upstreams = {
    // Only its first call succeeds.
    shaky: await startUpstream((response, received) =>
      calls++ === 0
        ? json(whole('Hi'))(response, received)
        : json({ error: { message: 'No.' } }, 500)(response, received),
    ),
    steady: await startUpstream(json(whole('Hi', { model: 'm-2026' }))),
  };
  await connectProviders(server, { ...upstreams });
  await complete();
  for (let index = 0; index < 3; index++) await complete(user);
  await ledger.drained();
});
afterAll(async () => {
  await server.close();
  await upstreams.shaky.close();
  await upstreams.steady.close();
});

async function complete(credential?: Credential): Promise<void> {
  const { data, errors } = await server.query<{ complete: { __typename: string } }, object>(
    `mutation($input: CompletionInput!) { complete(input: $input) { __typename } }`,
    { input: { messages: [{ role: 'USER', content: 'Hi' }] } },
    credential,
  );
  expect(errors).toEqual([]);
  expect(data.complete.__typename).toBe('Completion');
}

async function metrics(variables: object = {}, credential?: Credential): Promise<Metrics> {
  const { data, errors } = await server.query<{ metrics: Metrics }, object>(METRICS, variables, credential);
  expect(errors).toEqual([]);
  return data.metrics;
}

const counts = ({ providers }: Metrics) => providers.map(({ provider, attempts }) => [provider, attempts]);

describe('metrics by provider', () => {
  it('equal the attempts of the ledger, also of a provider whose calls failed over to another', async () => {
    const { rows } = await server.services.pool.query<Record<string, string>>(
      `SELECT provider_slug AS provider, count(*)::text AS attempts,
         count(*) FILTER (WHERE status = 'SUCCEEDED')::text AS succeeded,
         count(*) FILTER (WHERE status = 'FAILED')::text AS failed, coalesce(sum(input_tokens), 0)::text AS "inputTokens",
         coalesce(sum(output_tokens), 0)::text AS "outputTokens", coalesce(sum(cost), 0)::text AS cost,
         avg(latency_ms)::float AS "averageLatencyMs"
       FROM attempts GROUP BY 1 ORDER BY count(*) DESC, 1`,
    );
    const { providers, summary } = await metrics();
    expect(providers).toHaveLength(2);
    expect(rows.map(({ cost: _, ...row }) => row)).toEqual(
      providers.map((row) =>
        Object.fromEntries(Object.keys(rows[0] ?? {}).flatMap((name) => (name === 'cost' ? [] : [[name, row[name]]]))),
      ),
    );
    for (const [index, { cost }] of rows.entries())
      expect(BigInt(Math.round(Number(providers[index]?.cost) * 1e12))).toBe(BigInt(cost ?? -1));
    const shaky = providers.find(({ provider }) => provider === 'shaky');
    expect(shaky).toMatchObject({ succeeded: '1', cancelled: '0', indeterminate: '0' });
    const attempts = upstreams.shaky.received.length + upstreams.steady.received.length;
    expect(summary).toEqual({ requests: '4', attempts: `${attempts}` });
    expect(shaky?.share).toBeCloseTo(upstreams.shaky.received.length / attempts, 9);
    expect(shaky?.errorRate).toBeCloseTo(1 - 1 / upstreams.shaky.received.length, 9);
    expect(providers.reduce((sum, { share }) => sum + Number(share), 0)).toBeCloseTo(1, 9);
  });

  it('have percentiles of their own that lie within the latencies there were', async () => {
    const { rows } = await server.services.pool.query<{ provider: string; least: number; most: number }>(
      'SELECT provider_slug AS provider, min(latency_ms) AS least, max(latency_ms) AS most FROM attempts GROUP BY 1',
    );
    const { providers } = await metrics();
    for (const { provider, least, most } of rows) {
      const of = providers.find((row) => row.provider === provider);
      const [p50, p95, p99] = [of?.latencyP50Ms, of?.latencyP95Ms, of?.latencyP99Ms].map(Number) as [
        number,
        number,
        number,
      ];
      expect(p50).toBeGreaterThanOrEqual(least * 0.95);
      expect(p95).toBeGreaterThanOrEqual(p50);
      expect(p99).toBeGreaterThanOrEqual(p95);
      expect(p99).toBeGreaterThanOrEqual(most * 0.95);
      expect(p99).toBeLessThanOrEqual(most * 1.05);
    }
  });

  it('are the same from minutes and from hours', async () => {
    const ago = (hours: number) => new Date(Date.now() - hours * 3_600_000);
    const [minutes, hours] = [await metrics({ from: ago(12) }), await metrics({ from: ago(48) })];
    expect(minutes).toEqual(hours);
  });

  it('are filtered by what the attempts were', async () => {
    const steady = `${upstreams.steady.received.length}`;
    const failed = `${upstreams.shaky.received.length - 1}`;
    expect(counts(await metrics({ filter: { provider: 'steady' } }))).toEqual([['steady', steady]]);
    expect(counts(await metrics({ filter: { status: 'FAILED' } }))).toEqual([['shaky', failed]]);
    expect(counts(await metrics({ filter: { model: 'm-2026' } }))).toEqual([['steady', steady]]);
    expect(counts(await metrics({ filter: { provider: 'nobody' } }))).toEqual([]);
  });

  it('show a user only what is theirs', async () => {
    const mine = await metrics({}, user);
    expect(mine.summary.requests).toBe('3');
    expect(mine.providers.map(({ provider, succeeded }) => [provider, succeeded])).toContainEqual(['steady', '3']);
    expect(mine.providers.find(({ provider }) => provider === 'shaky')?.succeeded ?? '0').toBe('0');
    expect(await metrics({ filter: { userId: user.id } })).toEqual(mine);
  });

  it('are empty where nothing happened', async () => {
    expect(await metrics({ from: '2025-01-01T00:00:00Z', to: '2025-01-01T01:00:00Z' })).toEqual({
      summary: { requests: '0', attempts: '0' },
      providers: [],
    });
  });

  it('cost two statements with percentiles, and one without', async () => {
    const statements: number[] = [];
    for (const fields of [PROVIDERS, SUMS]) {
      const { pool, count } = countingPool(server);
      const { errors, data } = await executeWith(server, { pool }, `{ metrics { providers { ${fields} } } }`);
      expect(errors).toBeUndefined();
      expect(data).toMatchObject({ metrics: { providers: { length: 2 } } });
      statements.push(count());
    }
    expect(statements).toEqual([2, 1]);
  });
});
