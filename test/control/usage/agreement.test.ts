import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromUsd } from '../../../src/platform/money.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { newUser, type Person, set } from '../budgets/kit.ts';
import { expectAgreement } from './agree.ts';
import { type Call, event, logCompletion, openShop, reprice, setPrice, totals, track } from './kit.ts';

/** Models of the shop; each may get a price, get another one, or lose it. */
const MODELS = ['m', 'free-of-price', 'third'];

let server: TestServer;
let people: Person[];
beforeAll(async () => {
  server = await startServer();
  await openShop(server, [
    { name: 'm', inputPrice: '1', outputPrice: '2' },
    { name: 'free-of-price' },
    { name: 'third' },
  ]);
  people = [await newUser(server, 'a@example.com'), await newUser(server, 'b@example.com')];
  for (const period of ['DAILY', 'TOTAL']) await set(server, { scope: 'EVERYTHING', limit: '0.01', period });
  await set(server, { scope: 'PROVIDER', subject: 'shop', limit: '1', period: 'WEEKLY' });
  for (const { id } of people) await set(server, { scope: 'USER', subject: id, limit: '1', period: 'MONTHLY' });
});
afterAll(() => server.close());

const tokens = fc.integer({ min: 0, max: 5_000 });
const model = fc.constantFrom(...MODELS);
const person = fc.integer({ min: 0, max: 1 });

const call = fc
  .record({
    ...{
      model,
      input: fc.option(tokens),
      output: fc.option(tokens),
      cost: fc.option(fc.bigInt({ min: 0n, max: 10n ** 12n })),
    },
    status: fc.constantFrom('SUCCEEDED', 'FAILED', 'CANCELLED', 'INDETERMINATE'),
    source: fc.constantFrom('PRICED', 'REPORTED'),
    usedOwnKey: fc.boolean(),
  })
  .map(({ input, output, cost, status, source, ...rest }) => {
    const usage = {
      ...{ inputTokens: input, outputTokens: output, cachedTokens: null, reasoningTokens: null },
      ...{ cacheWriteTokens: null, cacheWrite1hTokens: null },
    };
    // What used tokens that are known has a cost or is unpriced; what used none is free.
    const known = input !== null || output !== null;
    const costs = known ? { cost, costSource: cost === null ? null : source } : { cost: 0n, costSource: 'FREE' };
    return { ...rest, usage, status, ...costs, isEstimated: status === 'INDETERMINATE' } as Call;
  });

const reported = fc
  .record({
    ...{ model, provider: fc.constantFrom('shop', 'shop', 'nobody'), inputTokens: tokens, outputTokens: tokens },
    latencyMs: fc.option(fc.integer({ min: 0, max: 9_000 })),
    daysAgo: fc.constantFrom(0, 0, 1, 40),
    idempotencyKey: fc.option(fc.integer({ min: 0, max: 5 }).map((number) => `key ${number}`)),
  })
  .map(({ daysAgo, ...rest }) => event({ ...rest, timestamp: new Date(Date.now() - daysAgo * 86_400_000) }));

type Step = (run: { lost: { attemptId: string; model: string }[] }) => Promise<unknown>;

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(person, fc.array(call, { minLength: 1, maxLength: 3 })).map(
        ([who, calls]): Step =>
          async (run) => {
            const intents = await logCompletion(
              server,
              calls.map((one) => ({ ...one, userId: people[who]?.id ?? '' })),
            );
            for (const [index, { attemptId }] of intents.entries())
              if (calls[index]?.status === 'INDETERMINATE')
                run.lost.push({ attemptId, model: calls[index].model ?? '' });
          },
      ),
    },
    {
      weight: 3,
      arbitrary: fc.tuple(person, fc.array(reported, { minLength: 1, maxLength: 4 })).map(
        ([who, events]): Step =>
          async () => {
            // Keys may be taken by other content: then nothing happens.
            await track(server, events, { token: people[who]?.token ?? '' }).catch((error: Error) => {
              if (!error.message.includes('CONFLICT')) throw error;
            });
          },
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(model, fc.option(fc.constantFrom('0', '0.5', '1', '7'))).map(
        ([name, price]): Step =>
          () =>
            setPrice(server, name, price),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.boolean().map(
        (includePriced): Step =>
          async () => {
            const range = { from: new Date(Date.now() - 60 * 86_400_000), includePriced };
            const before = (await everything()) as bigint;
            const dry = await reprice(server, range);
            expect(await everything()).toBe(before);
            const wet = await reprice(server, { ...range, isDryRun: false });
            expect(wet).toEqual({ ...dry, isDryRun: false });
            expect((await everything()) - before).toBe(fromUsd(wet.difference));
            expect(await reprice(server, { ...range, isDryRun: false })).toMatchObject({ attempts: 0, events: 0 });
          },
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(tokens, tokens).map(
        ([inputTokens, outputTokens]): Step =>
          async ({ lost }) => {
            const one = lost.pop();
            if (!one) return;
            // What has no price cannot be resolved: then nothing happens.
            await track(server, [{ provider: 'shop', ...one, inputTokens, outputTokens }]).catch((error: Error) => {
              if (!error.message.includes('has no price')) throw error;
            });
          },
      ),
    },
  ),
  { minLength: 6, maxLength: 14 },
);

/** What everything has cost, by the roll-ups. */
async function everything(): Promise<bigint> {
  const { rows } = await server.services.pool.query<{ cost: string }>(
    `SELECT coalesce(sum(cost), 0)::text AS cost FROM rollups JOIN rollup_series s ON s.id = series_id
     WHERE grain = 'HOUR' AND subject = 'ATTEMPT'`,
  );
  return BigInt(rows[0]?.cost ?? 0);
}

/** The effective costs that the request log and the list of usage events show together. */
async function shown(): Promise<bigint> {
  const day = new Date(Date.now() - 86_400_000 + 60_000);
  let sum = 0n;
  for (const list of ['requests', 'usageEvents']) {
    for (let after: string | null = null; ; ) {
      type Page = { nodes: { cost: string | null }[]; pageInfo: { endCursor: string | null; hasNextPage: boolean } };
      const answer: { data: Record<string, Page>; errors: readonly unknown[] } = await server.query(
        `query($from: DateTime, $after: String) { ${list}(filter: { from: $from }, first: 100, after: $after) {
           nodes { cost } pageInfo { endCursor hasNextPage } } }`,
        { from: day, after },
      );
      expect(answer.errors).toEqual([]);
      const { nodes, pageInfo } = answer.data[list] as Page;
      for (const { cost } of nodes) sum += cost === null ? 0n : (fromUsd(cost) as bigint);
      after = pageInfo.endCursor;
      if (!pageInfo.hasNextPage) break;
    }
  }
  return sum;
}

test('sums, budgets and rows agree after any mix of completions, reports, new prices and evidence', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const run = { lost: [] };
      for (const step of all) await step(run);
      await expectAgreement(server);
      expect(await shown()).toBe((await totals(server)).cost);
    }),
    { numRuns: 8, endOnFailure: true },
  );
});
