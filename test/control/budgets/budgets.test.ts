import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BUDGET_LIMITS } from '../../../src/control/budgets/service.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { toUsd } from '../../../src/platform/money.ts';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { chunk, connectProviders, events, startUpstream, type Upstream } from '../../kit/upstream.ts';
import { executeWith } from '../execute.ts';
import {
  BUDGET,
  budgets,
  deleteBudgets,
  newKey,
  newUser,
  type Person,
  post,
  set,
  spend,
  startTill,
  trySet,
} from './kit.ts';

let server: TestServer;
let upstreams: { shaky: Upstream; till: Upstream };
let ann: Person;
let ben: Person;
let key: { id: string; apiKey: string };
let benKey: { id: string; apiKey: string };

beforeAll(async () => {
  server = await startServer();
  // Uses 10 tokens of input and 5 of output for nothing: its stream ends before it says anything.
  const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
  upstreams = { shaky: await startUpstream(events(chunk('', null, { usage }))), till: await startTill() };
  await connectProviders(server, { till: upstreams.till, shaky: upstreams.shaky });
  ann = await newUser(server, 'ann@example.com');
  ben = await newUser(server, 'ben@example.com');
  key = await newKey(server, ann.id, 'ann');
  benKey = await newKey(server, ben.id, 'ben');
});
afterAll(async () => {
  await server.close();
  await upstreams.shaky.close();
  await upstreams.till.close();
});

afterEach(() => deleteBudgets(server));

/** What the request log says was spent. */
async function ledger(table: 'completions' | 'attempts', where: string, ...values: unknown[]): Promise<string> {
  const sql = `SELECT coalesce(sum(cost), 0)::text AS cost FROM ${table} WHERE ${where}`;
  const { rows } = await server.services.pool.query<{ cost: string }>(sql, values);
  return toUsd(BigInt(rows[0]?.cost ?? -1));
}

async function remove(id: string, credential?: Credential) {
  const { data, errors } = await server.query<{ deleteBudget: Record<string, string> }, object>(
    `mutation($id: ID!) { deleteBudget(id: $id) { __typename ... on DeleteBudgetSuccess { budget { id } }
      ... on Error { code } } }`,
    { id },
    credential,
  );
  expect(errors).toEqual([]);
  return data.deleteBudget;
}

async function find(id: string, credential?: Credential) {
  const document = `query($id: ID!) { budget(id: $id) { ${BUDGET} } }`;
  const { data, errors } = await server.query<{ budget: object | null }, object>(document, { id }, credential);
  expect(errors).toEqual([]);
  return data.budget;
}

describe('what is spent', () => {
  it('equals the ledger exactly, in every scope', async () => {
    await spend(server, 123_457, ann);
    await spend(server, 1, { apiKey: key.apiKey });
    await spend(server, 7, ben);
    await spend(server, 50, undefined, 'till/m');
    // The provider that is tried first uses tokens, then fails.
    await server.query('mutation { activateProvider(id: "shaky") { __typename } }');
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key.apiKey}` },
      body: JSON.stringify({ model: 'default', stream: true, messages: [{ role: 'user', content: '1000' }] }),
    });
    await response.text();
    await server.query('mutation { activateProvider(id: "till") { __typename } }');
    await server.services.ledger.drained();

    const { prisma } = server.services;
    const route = await prisma.route.findUniqueOrThrow({ where: { slug: 'default' } });
    const of = async (input: object) => (await set(server, { limit: '1', ...input })).spent;
    expect(await of({ scope: 'EVERYTHING' })).toBe(await ledger('completions', 'true'));
    expect(await of({ scope: 'USER', subject: 'ANN@example.com' })).toBe(
      await ledger('completions', 'user_id = $1', ann.id),
    );
    expect(await of({ scope: 'USER', subject: ben.id })).toBe('0.000007');
    expect(await of({ scope: 'API_KEY', subject: key.id })).toBe(
      await ledger('completions', 'api_key_id = $1', key.id),
    );
    expect(await of({ scope: 'ROUTE', subject: 'default' })).toBe(
      await ledger('completions', 'route_id = $1', route.id),
    );
    const shaky = await of({ scope: 'PROVIDER', subject: 'shaky' });
    const till = await of({ scope: 'PROVIDER', subject: 'till' });
    expect(shaky).toBe(await ledger('attempts', "provider_slug = 'shaky'"));
    expect(shaky).toBe('0.00002');
    expect(till).toBe(await ledger('attempts', "provider_slug = 'till'"));
    expect(await of({ scope: 'EVERYTHING', period: 'TOTAL' })).toBe(await ledger('attempts', 'true'));
  });

  it('has a new limit also in a period that a server with a fast clock has opened already', async () => {
    const { id, resetsAt } = await set(server, { limit: '1', scope: 'EVERYTHING', period: 'DAILY' });
    const { pool } = server.services;
    await pool.query(
      `INSERT INTO allowances (id, kind, budget_id, starts_at, "limit") VALUES ($1, 'BUDGET', $2, $3, 1000000000000)`,
      [uuidv7(), id, resetsAt],
    );
    await set(server, { limit: '2', scope: 'EVERYTHING', period: 'DAILY', version: 1 });
    const { rows } = await pool.query('SELECT DISTINCT "limit"::text FROM allowances WHERE budget_id = $1', [id]);
    expect(rows).toEqual([{ limit: '2000000000000' }]);
  });

  it('counts in the period of admission, whether the budget was set before or after', async () => {
    const daily = { limit: '1', scope: 'EVERYTHING', period: 'DAILY' };
    const total = { limit: '1', scope: 'EVERYTHING', period: 'TOTAL' };
    const [today, ever] = [await set(server, daily), await set(server, total)];
    expect(today.spent).toBe(ever.spent);
    // In the last hour before today, and in the first one of tomorrow.
    const midnight = Date.parse(today.periodStartsAt ?? '');
    await post(server, midnight - 1, 30);
    await post(server, midnight + 24 * 3_600_000, 500);
    const inAll = await ledger('attempts', 'true');
    expect(Number(inAll) - Number(ever.spent)).toBeCloseTo(0.00053, 12);
    expect(await budgets(server)).toMatchObject([{ spent: today.spent }, { spent: inAll }]);
    await remove(today.id);
    await remove(ever.id);
    expect(await set(server, daily)).toMatchObject({ spent: today.spent });
    expect(await set(server, total)).toMatchObject({ spent: inAll });
  });

  it('of any number of budgets is read by one statement', async () => {
    const statements: string[] = [];
    const prisma = createPrisma(server.connection, 2, (sql) => statements.push(sql));
    const counts: number[] = [];
    for (const period of ['DAILY', 'WEEKLY', 'YEARLY']) {
      for (const subject of [ann.id, ben.id]) await set(server, { limit: '1', period, subject });
      const before = statements.length;
      const { data, errors } = await executeWith(server, { prisma }, `{ budgets { ${BUDGET} } }`);
      expect(errors).toBeUndefined();
      counts.push((data as { budgets: object[] }).budgets.length, statements.length - before);
    }
    expect(statements.filter((sql) => sql.includes('FROM budgets'))).toHaveLength(3);
    expect(counts).toEqual([2, 2, 4, 2, 6, 2]);
    await prisma.$disconnect();
  });
});

describe('setBudget', () => {
  it('sets a monthly budget for the caller, with thresholds, where nothing else is said', async () => {
    const budget = await set(server, { limit: '2.5' }, ann);
    const { rows } = await server.services.pool.query<{ start: Date; end: Date }>(
      `SELECT date_trunc('month', now(), 'UTC') AS start,
         (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC' AS end`,
    );
    expect(budget).toMatchObject({
      ...{ name: null, scope: 'USER', subject: 'ann@example.com', subjectId: ann.id, period: 'MONTHLY', limit: '2.5' },
      ...{
        enforcement: 'HARD',
        held: '0',
        thresholds: [50, 80, 100],
        crossedThresholds: [],
        isExceeded: false,
        version: 1,
      },
      ...{ periodStartsAt: rows[0]?.start.toISOString(), resetsAt: rows[0]?.end.toISOString() },
    });
    expect(Number(budget.spent) + Number(budget.remaining)).toBeCloseTo(2.5, 12);
    expect(budget.percentUsed).toBeCloseTo(Number(budget.spent) * 40, 3);
  });

  it('replaces what there is for the same scope, subject and period', async () => {
    const first = await set(server, { limit: '1', name: 'First', thresholds: [10] }, ann);
    const second = await set(server, { limit: '0.000001', subject: ann.id, period: 'MONTHLY', version: 1 });
    expect(second).toMatchObject({
      id: first.id,
      limit: '0.000001',
      name: null,
      thresholds: [50, 80, 100],
      version: 2,
    });
    expect(second).toMatchObject({ remaining: '0', isExceeded: true, crossedThresholds: [50, 80, 100] });
    const other = await set(server, { limit: '1', period: 'TOTAL', thresholds: [100, 1, 50] }, ann);
    expect(other).toMatchObject({ thresholds: [1, 50, 100], periodStartsAt: null, resetsAt: null });
    expect(await budgets(server, ann)).toMatchObject([{ id: first.id }, { id: other.id }]);
  });

  it('refuses a version that is no longer the latest, or of nothing, and leaves all as it was', async () => {
    const stale = await trySet(server, { limit: '1', version: 1 }, ann);
    expect(stale).toMatchObject({ __typename: 'ConflictError' });
    expect(await budgets(server, ann)).toEqual([]);
    const { id } = await set(server, { limit: '1' }, ann);
    await set(server, { limit: '2', version: 1 }, ann);
    const seq = await eventSeq();
    expect(await trySet(server, { limit: '3', version: 1 }, ann)).toMatchObject({ __typename: 'ConflictError' });
    expect(await find(id, ann)).toMatchObject({ limit: '2', version: 2 });
    expect(await eventSeq()).toBe(seq);
  });

  it.each<[string, object, string]>([
    ['no money', { limit: '0' }, 'limit'],
    ['less than no money', { limit: '-1' }, 'limit'],
    ['a threshold of 0', { thresholds: [0] }, 'thresholds.0'],
    ['a threshold above 1,000', { thresholds: [50, 1001] }, 'thresholds.1'],
    ['a threshold twice', { thresholds: [50, 50] }, 'thresholds'],
    ['eleven thresholds', { thresholds: [...Array(11).keys()].map((n) => n + 1) }, 'thresholds'],
    ['a name that is empty', { name: ' ' }, 'name'],
    ['a subject of everything', { scope: 'EVERYTHING', subject: 'x' }, 'subject'],
    ['a route without its name', { scope: 'ROUTE' }, 'subject'],
  ])('refuses %s', async (_what, input, path) => {
    const result = await trySet(server, { limit: '1', ...input });
    expect(result).toMatchObject({ __typename: 'ValidationError' });
    expect(result.message).toMatch(new RegExp(`^${path}: `));
  });

  it.each([
    [{ scope: 'USER', subject: 'nobody@example.com' }, 'NotFoundError'],
    [{ scope: 'USER', subject: '\0' }, 'NotFoundError'],
    [{ scope: 'API_KEY', subject: 'nothing' }, 'NotFoundError'],
    [{ scope: 'API_KEY', subject: uuidv7() }, 'NotFoundError'],
    [{ scope: 'ROUTE', subject: 'nowhere' }, 'RouteNotFoundError'],
    [{ scope: 'PROVIDER', subject: 'nobody' }, 'ProviderNotFoundError'],
  ])('refuses a subject that does not exist: %o', async (input, type) => {
    expect(await trySet(server, { limit: '1', ...input })).toMatchObject({ __typename: type });
    expect(await budgets(server)).toEqual([]);
  });

  it('set by an admin on somebody else is theirs to see, and not to change', async () => {
    const budget = await set(server, { limit: '1', subject: ann.id });
    expect(await find(budget.id, ann)).toMatchObject({ id: budget.id, isManaged: true });
    const forbidden = {
      __typename: 'ForbiddenError',
      message: expect.stringContaining('An admin has set this budget'),
    };
    expect(await trySet(server, { limit: '1000' }, ann)).toMatchObject(forbidden);
    expect(await remove(budget.id, ann)).toMatchObject({ __typename: 'ForbiddenError' });
    expect(await find(budget.id)).toMatchObject({ limit: '1', version: 1 });
    // What they set themselves they may change.
    expect(await set(server, { limit: '1' }, ben)).toMatchObject({ isManaged: false });
    expect(await set(server, { limit: '2' }, ben)).toMatchObject({ limit: '2' });
  });

  it('refuses more than 100 budgets of a user, and more than 1,000 in all', async () => {
    const { prisma } = server.services;
    const row = (ownerId: string | null) => ({
      ...{ id: uuidv7(), scope: 'PROVIDER' as const, subjectId: uuidv7(), ownerId, period: 'TOTAL' as const, limit: 1 },
      thresholds: [],
      enforcement: 'SOFT' as const,
    });
    await prisma.budget.createMany({ data: Array.from({ length: BUDGET_LIMITS.ofOneUser }, () => row(ann.id)) });
    expect(await trySet(server, { limit: '1' }, ann)).toMatchObject({ __typename: 'ValidationError' });
    const rest = BUDGET_LIMITS.all - BUDGET_LIMITS.ofOneUser - 1;
    await prisma.budget.createMany({ data: Array.from({ length: rest }, () => row(null)) });
    const { id } = await set(server, { limit: '1' }, ben);
    expect(await trySet(server, { limit: '1', scope: 'EVERYTHING' })).toMatchObject({
      __typename: 'ValidationError',
      message: 'This Signalbox has 1000 budgets already; delete one first.',
    });
    expect(await set(server, { limit: '2' }, ben)).toMatchObject({ id, version: 2 });
    expect(await budgets(server)).toHaveLength(BUDGET_LIMITS.all);
  });
});

describe('a hard budget', () => {
  it('shows what is set aside, and has a new limit at once, also one below what is spent', async () => {
    const budget = await set(server, { limit: '1' }, ann);
    const { spent } = budget;
    await post(server, Date.now(), 500_000, { userId: ann.id });
    const holder = await lease(budget.id, '300000000000');
    const used = Number(spent) + 0.8;
    const now = async () => (await budgets(server, ann))[0];
    expect(await now()).toMatchObject({ held: '0.3', isExceeded: false });
    expect(Number((await now())?.remaining)).toBeCloseTo(1 - used, 12);
    expect((await set(server, { limit: '2' }, ann)).id).toBe(budget.id);
    expect(Number((await now())?.remaining)).toBeCloseTo(2 - used, 12);
    await addToLease(budget.id, holder, 1n);
    expect(await set(server, { limit: '0.5' }, ann)).toMatchObject({
      ...{ held: '0.300000000001', remaining: '0', isExceeded: true, crossedThresholds: [50, 80, 100] },
    });
    await expect(addToLease(budget.id, holder, 1n)).rejects.toThrow('would exceed the limit 500000000000');
    expect(await now()).toMatchObject({ held: '0.300000000001' });
  });

  it('that becomes a soft one, and a hard one again, keeps what is spent', async () => {
    await post(server, Date.now(), 70, { userId: ben.id });
    const hard = await set(server, { limit: '1' }, ben);
    const soft = await set(server, { limit: '1', enforcement: 'SOFT' }, ben);
    await post(server, Date.now(), 30, { userId: ben.id });
    const again = await set(server, { limit: '1', enforcement: 'HARD' }, ben);
    expect([hard.enforcement, soft.enforcement, again.enforcement]).toEqual(['HARD', 'SOFT', 'HARD']);
    expect(soft.spent).toBe(hard.spent);
    expect(Number(again.spent) - Number(hard.spent)).toBeCloseTo(0.00003, 12);
    expect(again).toMatchObject({ id: hard.id, version: 3 });
  });

  it('takes its leases with it when it is deleted, and leaves the ledger as it is', async () => {
    const { id } = await set(server, { limit: '1' }, ann);
    await lease(id, '1');
    const before = await ledger('attempts', 'true');
    await remove(id, ann);
    const { rows } = await server.services.pool.query('SELECT FROM allowances UNION ALL SELECT FROM leases');
    expect(rows).toEqual([]);
    await post(server, Date.now(), 5, { userId: ann.id });
    expect(Number(await ledger('attempts', 'true')) - Number(before)).toBeCloseTo(0.000005, 12);
  });

  it('is set and deleted on end while its spending is posted, and nobody waits in a circle', async () => {
    let isOver = false;
    const posting = (async () => {
      while (!isOver) await post(server, Date.now(), 1, { userId: ann.id });
    })();
    const change = async (credential: Credential | undefined, input: object) => {
      for (let turn = 0; turn < 8; turn++) {
        const { id } = await set(server, { limit: `${turn + 1}`, ...input }, credential);
        if (turn % 3 === 2) await remove(id, credential);
      }
    };
    await Promise.all([change(ann, {}), change(undefined, { scope: 'EVERYTHING' }), change(ben, { period: 'TOTAL' })]);
    isOver = true;
    await posting;
    const [anns] = await budgets(server, ann);
    expect(anns?.spent).toBe(await ledger('completions', 'user_id = $1', ann.id));
  });
});

describe('a user', () => {
  it('sets, sees and deletes budgets on themselves and their keys', async () => {
    const mine = await set(server, { limit: '1', subject: 'Ann@Example.com' }, ann);
    const keys = await set(server, { limit: '1', scope: 'API_KEY', subject: key.id }, ann);
    expect(keys).toMatchObject({ subject: 'ann', subjectId: key.id });
    expect(await budgets(server, ann)).toMatchObject([{ id: mine.id }, { id: keys.id }]);
    expect(await find(keys.id, ann)).toMatchObject({ id: keys.id });
    expect(await remove(mine.id, ann)).toEqual({ __typename: 'DeleteBudgetSuccess', budget: { id: mine.id } });
    expect(await remove(keys.id, ann)).toMatchObject({ __typename: 'DeleteBudgetSuccess' });
    expect(await find(mine.id)).toBeNull();
  });

  it('does not set others’, and does not learn whether they exist', async () => {
    const before = await eventSeq();
    const tries = [
      { subject: ben.id },
      { subject: uuidv7() },
      { subject: 'ben@example.com' },
      { subject: 'nobody@example.com' },
      { scope: 'API_KEY', subject: benKey.id },
      { scope: 'API_KEY', subject: uuidv7() },
      { scope: 'ROUTE', subject: 'default' },
      { scope: 'ROUTE', subject: 'nowhere' },
      { scope: 'PROVIDER', subject: 'sandbox' },
      { scope: 'EVERYTHING' },
    ];
    const results = await Promise.all(tries.map((input) => trySet(server, { limit: '1', ...input }, ann)));
    expect(new Set(results.map(({ __typename }) => __typename))).toEqual(new Set(['ForbiddenError']));
    expect(new Set(results.map(({ message }) => message)).size).toBe(1);
    expect(await budgets(server)).toEqual([]);
    expect(await eventSeq()).toBe(before);
  });

  it('does not see or delete others’', async () => {
    const bens = await set(server, { limit: '1' }, ben);
    const everything = await set(server, { limit: '1', scope: 'EVERYTHING' });
    expect(await budgets(server, ann)).toEqual([]);
    for (const id of [bens.id, everything.id, uuidv7(), 'no id']) {
      expect(await find(id, ann)).toBeNull();
      expect(await remove(id, ann)).toEqual({ __typename: 'ForbiddenError', code: 'FORBIDDEN' });
    }
    expect(await budgets(server)).toHaveLength(2);
    await remove(bens.id);
    expect(await remove(bens.id)).toEqual({ __typename: 'NotFoundError', code: 'NOT_FOUND' });
  });
});

it('keeps a budget of what is gone, without its name', async () => {
  const { id } = await server.services.prisma.route.create({ data: { slug: 'gone', name: 'Gone' } });
  const budget = await set(server, { limit: '1', scope: 'ROUTE', subject: id });
  expect(budget.subject).toBe('gone');
  await server.services.prisma.route.delete({ where: { id } });
  expect(await find(budget.id)).toMatchObject({ subject: null, subjectId: id });
});

/** How many events were told. */
async function eventSeq(): Promise<string> {
  const { rows } = await server.services.pool.query<{ seq: string }>('SELECT seq::text FROM event_head');
  return rows[0]?.seq ?? '';
}

/** Leases money of a budget to a process. */
async function lease(budgetId: string, picodollars: string): Promise<string> {
  const { pool } = server.services;
  const holder = uuidv7();
  await pool.query(`INSERT INTO lease_holders (id, server_id) VALUES ($1, 'one')`, [holder]);
  await pool.query(
    `INSERT INTO leases (allowance_id, holder_id, amount) SELECT id, $2, 0 FROM allowances WHERE budget_id = $1`,
    [budgetId, holder],
  );
  await addToLease(budgetId, holder, BigInt(picodollars));
  return holder;
}

async function addToLease(budgetId: string, holder: string, picodollars: bigint): Promise<void> {
  await server.services.pool.query(
    `WITH leased AS (UPDATE allowances SET leased = leased + $3::numeric WHERE budget_id = $1 RETURNING id)
     UPDATE leases SET amount = amount + $3::numeric FROM leased WHERE allowance_id = id AND holder_id = $2`,
    [budgetId, holder, picodollars.toString()],
  );
}
