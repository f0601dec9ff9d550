import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { countingPool, executeWith } from '../execute.ts';
import { createProvider, setTrafficSplit } from '../routes/kit.ts';
import { COST_ANALYSIS, logCalls, recordComparison, SPLIT_COMPARISON } from './kit.ts';

const ID = '019a9f00-0000-7000-8000-000000000000';

let server: TestServer;
let prisma: ReturnType<typeof createPrisma>;
let statements = 0;
beforeAll(async () => {
  server = await startServer();
  prisma = createPrisma(server.connection, 1, () => {
    statements += 1;
  });
  for (let index = 0; index < 20; index++) await createProvider(server, `p${index}`);
  for (const [slug, many] of [
    ['few', 2],
    ['many', 20],
  ] as const) {
    await server.query(`mutation { createRoute(input: { name: "${slug}", slug: "${slug}" }) { __typename } }`);
    const targets = Array.from({ length: many }, (_, index) => ({ provider: `p${index}`, percentage: 100 / many }));
    const { route, trafficSplit } = await setTrafficSplit(server, { routeId: slug, targets });
    const ids = trafficSplit.targets.map(({ target }) => target.id);
    await logCalls(
      server,
      route.id,
      ids.flatMap((targetId) => Array.from({ length: 10 * many }, () => ({ targetId }))),
    );
    for (let times = 0; times < many; times++)
      await recordComparison(server, { routeId: slug, variantA: ids[0], variantB: ids[1] });
  }
  await prisma.$queryRaw`SELECT 1`;
});
afterAll(async () => {
  await prisma.$disconnect();
  await server.close();
});

/** How many statements an operation takes. */
async function count(operation: string, input: object): Promise<number> {
  statements = 0;
  const { pool, count: ofPool } = countingPool(server);
  const { data, errors } = await executeWith(server, { prisma, pool }, operation, { input });
  expect(errors).toBeUndefined();
  expect(JSON.stringify(data)).toContain('"label":"B"');
  return statements + ofPool();
}

test.each([
  // The route twice, its targets, sums, samples and judgements.
  ['splitComparison', SPLIT_COMPARISON, 6],
  ['costAnalysis', COST_ANALYSIS, 4],
])('%s costs the same for few variants, calls and judgements and for many', async (_name, operation, most) => {
  const few = await count(operation, { routeId: 'few' });
  const many = await count(operation, { routeId: 'many' });
  console.info(`${_name}: ${few} and ${many} statements`);
  expect(many).toBe(few);
  expect(many).toBeLessThanOrEqual(most);
});

test('the calls of a variant are found by its id, newest first, and not by looking through all', async () => {
  const client = await server.services.pool.connect();
  await client.query('SET enable_seqscan = off');
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT status FROM attempts WHERE target_id = '${ID}' AND id >= '${ID}'
     ORDER BY id DESC LIMIT 10`,
  );
  client.release(true);
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  expect(plan).toMatch(/Index Scan Backward using \S*target_id_id/);
});
