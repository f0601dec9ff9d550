import type { QueryResultRow } from 'pg';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { readVariantSamples } from '../../../src/control/experiments/variant-samples.ts';
import { repriceUsage } from '../../../src/control/usage/reprice.ts';
import type { Usage } from '../../../src/gateway/ledger/prices.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { newUser, set } from '../budgets/kit.ts';
import { expectAgreement } from './agree.ts';
import { CORRECTION, event, logCompletion, openShop, reprice, setPrice, totals, track, tryTrack } from './kit.ts';

let server: TestServer;
beforeEach(async () => {
  await server?.close();
  server = await startServer();
  await openShop(server);
});
afterAll(() => server.close());

const usage = (inputTokens: number | null, outputTokens: number | null): Usage => ({
  ...{ inputTokens, outputTokens, cachedTokens: null, reasoningTokens: null },
  ...{ cacheWriteTokens: null, cacheWrite1hTokens: null },
});

/** Calls as they were when the model had no price. */
const UNPRICED = { model: 'free-of-price', usage: usage(1_000, 500), cost: null, costSource: null };
const PRICED = { usage: usage(1_000, 500), cost: 2_000_000_000n, costSource: 'PRICED' as const };

interface Shown {
  cost: string | null;
  usage: { inputTokens: number | null; outputTokens: number | null; isEstimated: boolean };
  attempts: {
    id: string;
    cost: string | null;
    usage: Shown['usage'];
    held: string | null;
    isOverrun: boolean;
    corrections: Record<string, unknown>[];
  }[];
}

async function request(id: string, credential?: Credential): Promise<Shown> {
  const { data, errors } = await server.query<{ request: Shown }, object>(
    `query($id: ID!) { request(id: $id) { cost usage { inputTokens outputTokens isEstimated }
       attempts { id cost held isOverrun usage { inputTokens outputTokens isEstimated } corrections { ${CORRECTION} } } } }`,
    { id },
    credential,
  );
  expect(errors).toEqual([]);
  return data.request;
}

async function unpriced(): Promise<Record<string, unknown>[]> {
  const { data, errors } = await server.query<{ unpricedUsage: Record<string, unknown>[] }, object>(
    '{ unpricedUsage { provider model attempts events inputTokens outputTokens firstAt lastAt } }',
  );
  expect(errors).toEqual([]);
  return data.unpricedUsage;
}

test('what has no price is listed, and is priced once there is one', async () => {
  await set(server, { scope: 'PROVIDER', subject: 'shop', limit: '10' });
  await set(server, { limit: '10' });
  const [call] = await logCompletion(server, [UNPRICED]);
  await track(server, [event({ model: 'free-of-price' }), event({ provider: 'later', model: 'x' }), event()]);
  expect(await unpriced()).toMatchObject([
    { provider: 'shop', model: 'free-of-price', attempts: '1', events: '1', inputTokens: '2000', outputTokens: '600' },
    { provider: 'later', model: 'x', attempts: '0', events: '1', inputTokens: '1000', outputTokens: '100' },
  ]);
  expect(await reprice(server, { isDryRun: false })).toMatchObject({ attempts: 0, events: 0, stillUnpriced: 3 });
  await setPrice(server, 'free-of-price', '1');

  const dry = await reprice(server);
  expect(dry).toMatchObject({
    ...{ isDryRun: true, attempts: 1, events: 1, before: '0', after: '0.0026', difference: '0.0026' },
    ...{ stillUnpriced: 1, moreFrom: null },
  });
  const { rows } = await server.services.pool.query('SELECT FROM corrections');
  expect(rows).toEqual([]);
  const wet = await reprice(server, { isDryRun: false });
  expect(wet).toEqual({ ...dry, isDryRun: false });
  expect(await reprice(server, { isDryRun: false })).toMatchObject({ attempts: 0, events: 0, stillUnpriced: 1 });

  expect(await unpriced()).toMatchObject([{ provider: 'later', model: 'x' }]);
  const { cost, attempts } = await request(call?.origin.completionId ?? '');
  expect(cost).toBe('0.0015');
  expect(attempts[0]?.corrections).toMatchObject([
    { reason: 'REPRICED', cost: '0.0015', difference: '0.0015', wasUnpriced: true, correctedBy: expect.any(String) },
  ]);
  expect(await totals(server)).toMatchObject({ cost: 3_800_000_000n, unpricedRequests: '1' });
  await expectAgreement(server);
});

test('a completion has a cost once all of its calls have', async () => {
  const [, last] = await logCompletion(server, [{ ...PRICED, status: 'FAILED' }, UNPRICED]);
  const id = last?.origin.completionId ?? '';
  expect((await request(id)).cost).toBeNull();
  expect(await totals(server)).toMatchObject({ cost: 0n, unpricedRequests: '1' });
  await setPrice(server, 'free-of-price', '3');
  await reprice(server, { isDryRun: false });
  expect((await request(id)).cost).toBe('0.0065');
  expect(await totals(server)).toMatchObject({ cost: 6_500_000_000n, unpricedRequests: '0' });
  await expectAgreement(server);
});

test('what has a price is priced again only when that is asked for, within its filters and its range', async () => {
  await logCompletion(server, [PRICED]);
  await track(server, [event(), event({ timestamp: new Date(Date.now() - 3 * 86_400_000) })]);
  await setPrice(server, 'm', '2', '2');
  expect(await reprice(server, { isDryRun: false })).toMatchObject({ attempts: 0, events: 0 });
  expect(await reprice(server, { includePriced: true, model: 'other' })).toMatchObject({ attempts: 0, events: 0 });
  expect(await reprice(server, { includePriced: true, provider: 'openai' })).toMatchObject({ attempts: 0, events: 0 });
  expect(await reprice(server, { includePriced: true, provider: 'Shop', model: 'm', isDryRun: false })).toMatchObject({
    ...{ attempts: 1, events: 1, before: '0.0032', after: '0.0052', difference: '0.002' },
    lines: [{ provider: 'shop', model: 'm', attempts: 1, events: 1, difference: '0.002' }],
  });
  await setPrice(server, 'm', '1', '1');
  expect(await reprice(server, { includePriced: true, isDryRun: false })).toMatchObject({ difference: '-0.0026' });
  await expectAgreement(server);
});

test('calls that failed before their first token stay free, and what a provider reported stays', async () => {
  await logCompletion(server, [{ usage: usage(null, null), cost: 0n, costSource: 'FREE', status: 'FAILED' }]);
  await logCompletion(server, [{ ...UNPRICED, cost: 7n, costSource: 'REPORTED' }]);
  expect(await reprice(server, { includePriced: true, isDryRun: false })).toMatchObject({ attempts: 0 });
});

const LOST = {
  usage: usage(1_000, 0),
  isEstimated: true,
  status: 'INDETERMINATE' as const,
  costSource: 'PRICED' as const,
};

test('evidence resolves an INDETERMINATE attempt once, in sums and budgets, too', async () => {
  const person = await newUser(server, 'lost@example.com');
  const budget = await set(server, { limit: '10' }, { token: person.token });
  const [call] = await logCompletion(server, [{ ...LOST, cost: 1_000_000_000n, userId: person.id }]);
  const attemptId = call?.attemptId ?? '';
  const evidence = { provider: 'shop', model: 'm', inputTokens: 900, outputTokens: 300, attemptId };
  const first = await track(server, [evidence, event()]);
  expect(first).toMatchObject({ recorded: 1, resolved: 1, duplicates: 0 });
  expect(first.events[0]).toMatchObject({
    event: null,
    correction: { reason: 'RESOLVED', inputTokens: 900, outputTokens: 300, cost: '0.0015', difference: '0.0005' },
  });
  expect(await track(server, [evidence])).toMatchObject({ recorded: 0, resolved: 0, duplicates: 1 });
  expect(await tryTrack(server, [event(), { ...evidence, outputTokens: 301 }])).toMatchObject({ code: 'CONFLICT' });

  const shown = await request(call?.origin.completionId ?? '', { token: person.token });
  expect(shown).toMatchObject({ cost: '0.0015', usage: { inputTokens: 900, outputTokens: 300, isEstimated: false } });
  expect(shown.attempts[0]).toMatchObject({ cost: '0.0015', corrections: [{ correctedBy: null }] });
  expect(await totals(server, { token: person.token })).toMatchObject({
    ...{ requests: '1', inputTokens: '900', outputTokens: '300', cost: 1_500_000_000n },
  });
  const { rows } = await server.services.pool.query('SELECT settled::text FROM allowances WHERE budget_id = $1', [
    budget.id,
  ]);
  expect(rows).toEqual([{ settled: '1500000000' }]);
  await expectAgreement(server);
});

test('evidence is refused where usage is known, where it is of another call, and where there is no price', async () => {
  const [known] = await logCompletion(server, [PRICED]);
  const [lost] = await logCompletion(server, [{ ...LOST, cost: 1n }]);
  const [priceless] = await logCompletion(server, [{ ...LOST, model: 'free-of-price', cost: null, costSource: null }]);
  const before = await totals(server);
  const evidence = { provider: 'shop', model: 'm', inputTokens: 1, outputTokens: 1 };
  const attempt = (of: typeof known) => ({ attemptId: of?.attemptId });
  expect(await tryTrack(server, [{ ...evidence, ...attempt(known) }])).toMatchObject({ code: 'CONFLICT' });
  for (const [path, changes] of Object.entries({
    'events.0.model': { ...attempt(lost), model: 'other' },
    'events.0.provider': { ...attempt(lost), provider: 'openai' },
    'events.0.metadata': { ...attempt(lost), metadata: {} },
    'events.0.attemptId': { ...attempt(priceless), model: 'free-of-price' },
  }))
    expect(await tryTrack(server, [{ ...evidence, ...changes }])).toMatchObject({ issues: [{ path }] });
  expect(await totals(server)).toEqual(before);
  await setPrice(server, 'free-of-price', '1');
  const late = { ...evidence, ...attempt(priceless), model: 'free-of-price' };
  expect(await track(server, [late, late])).toMatchObject({ resolved: 1, duplicates: 1 });
  await expectAgreement(server);
});

test('several at once price the same usage again once', async () => {
  await logCompletion(server, [UNPRICED]);
  await track(
    server,
    Array.from({ length: 700 }, () => event({ model: 'free-of-price' })),
  );
  await setPrice(server, 'free-of-price', '1');
  const all = await Promise.all([1, 2, 3].map(() => reprice(server, { isDryRun: false })));
  expect(all.reduce((sum, { events }) => sum + events, 0)).toBe(700);
  const { rows } = await server.services.pool.query('SELECT count(*)::int FROM corrections');
  expect(rows).toEqual([{ count: 701 }]);
  await expectAgreement(server);
});

test('a call looks at so many, says where to go on, and there the rest is done', async () => {
  const now = Date.now();
  const reported = Array.from({ length: 520 }, (_, index) =>
    event({ model: 'free-of-price', timestamp: new Date(now - 3_600_000 + index * 5_000) }),
  );
  await track(server, reported);
  await setPrice(server, 'free-of-price', '1');
  const account = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
  const who = {
    caller: { kind: 'USER' as const, account, expiresAt: now + 60_000 },
    signal: new AbortController().signal,
  };
  const range = { to: new Date(now), isDryRun: false };
  const from = new Date(now - 86_400_000);
  const first = await repriceUsage(server.services, who, { ...range, from }, 500);
  expect(first.tally.lines).toMatchObject([{ events: 500 }]);
  const second = await repriceUsage(server.services, who, { ...range, from: first.moreFrom as Date }, 500);
  expect(second.tally.lines).toMatchObject([{ events: 20 }]);
  expect(second.moreFrom).toBeNull();
  await expectAgreement(server);
});

test('a name that was reported is priced once a provider has it, and found by it all the while', async () => {
  await track(server, [event({ provider: 'New Shop', model: 'gpt-4.1' })]);
  await server.query(
    `mutation { createProvider(input: { name: "New Shop", slug: "new", baseUrl: "https://api.openai.com/v1" }) { __typename } }`,
  );
  expect(await reprice(server, { provider: 'New Shop', isDryRun: false })).toMatchObject({
    events: 1,
    lines: [{ provider: 'New Shop', model: 'gpt-4.1' }],
  });
  await expectAgreement(server);
});

test('an attempt shows what was set aside, and whether it cost more', async () => {
  const [within] = await logCompletion(server, [{ ...PRICED, held: 2_000_000_000n }]);
  const [over] = await logCompletion(server, [{ ...PRICED, held: 1_999_999_999n }]);
  const [none] = await logCompletion(server, [PRICED]);
  const shown = await Promise.all([within, over, none].map((of) => request(of?.origin.completionId ?? '')));
  expect(shown.map(({ attempts }) => [attempts[0]?.held, attempts[0]?.isOverrun])).toEqual([
    ['0.002', false],
    ['0.001999999999', true],
    [null, false],
  ]);
});

test('credits pay for what went with the system’s key, and not for usage made elsewhere', async () => {
  const { id: userId, token } = await newUser(server, 'prepaid@example.com');
  const { pool } = server.services;
  await pool.query(
    `INSERT INTO allowances (id, kind, user_id, starts_at, "limit") VALUES ($1, 'CREDITS', $1, now() - interval '1 day', 10)`,
    [userId],
  );
  await logCompletion(server, [{ ...UNPRICED, userId }]);
  await logCompletion(server, [{ ...UNPRICED, userId, usedOwnKey: true }]);
  await track(server, [event(), event({ model: 'free-of-price' })], { token });
  await setPrice(server, 'free-of-price', '1');
  expect(await reprice(server, { isDryRun: false })).toMatchObject({ attempts: 2, events: 1 });
  const { rows } = await pool.query('SELECT settled::text FROM allowances WHERE user_id = $1', [userId]);
  expect(rows).toEqual([{ settled: '1500000000' }]);
});

test('an experiment counts what its calls cost as corrected', async () => {
  const targetId = uuidv7();
  await logCompletion(server, [{ ...UNPRICED, targetId }]);
  await logCompletion(server, [{ ...PRICED, targetId }]);
  const span = { grain: 'MINUTE' as const, from: new Date(Date.now() - 3_600_000), to: new Date(Date.now() + 60_000) };
  const query = <Row extends QueryResultRow>(sql: string, values: unknown[]) =>
    server.services.pool.query<Row>(sql, values);
  const costs = async () => (await readVariantSamples(query, span, [targetId])).get(targetId)?.cost;
  expect(await costs()).toMatchObject({ count: 1, mean: 2_000_000_000 });
  await setPrice(server, 'free-of-price', '4');
  await reprice(server, { isDryRun: false });
  expect(await costs()).toMatchObject({ count: 2, mean: 4_000_000_000 });
});

test('a range is 366 days at most, and not empty', async () => {
  const to = new Date();
  for (const from of [to, new Date(Number(to) - 367 * 86_400_000)]) {
    const { data } = await server.query<{ repriceUsage: object }, object>(
      'mutation($input: RepriceUsageInput!) { repriceUsage(input: $input) { __typename } }',
      { input: { from, to } },
    );
    expect(data.repriceUsage).toEqual({ __typename: 'ValidationError' });
  }
});
