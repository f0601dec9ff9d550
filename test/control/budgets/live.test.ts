import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { BudgetWatcher } from '../../../src/control/budgets/watcher.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { until } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { connectProviders, type Upstream } from '../../kit/upstream.ts';
import {
  budgets,
  deleteBudgets,
  type Follower,
  follow,
  newKey,
  newUser,
  type Person,
  post,
  set as setAny,
  spend,
  startTill,
  story,
  thresholdsTold,
} from './kit.ts';

/** Longer than the pause between two looks. */
const TWO_LOOKS_MS = 2_300;

let server: TestServer;
let till: Upstream;
let users = 0;

beforeAll(async () => {
  server = await startServer();
  till = await startTill();
  await connectProviders(server, { till });
});
afterEach(() => deleteBudgets(server));
afterAll(async () => {
  await server.close();
  await till.close();
});

const somebody = (): Promise<Person> => newUser(server, `user${++users}@example.com`);

/** Of these budgets more may be spent than there is. */
const set = (at: TestServer, input: object, by?: Person) => setAny(at, { enforcement: 'SOFT', ...input }, by);

/** Spends, and waits until the follower was told of it. */
async function spendAndHear(follower: Follower, microdollars: number, by: Person): Promise<void> {
  const told = follower.events.length;
  await spend(server, microdollars, by);
  await until(() => follower.events.slice(told).some(({ reason }) => reason === 'SPENT'), 'what was spent');
}

describe('a subscriber', () => {
  it('is told what is spent, and each threshold once, ascending, also those that were jumped over', async () => {
    const ann = await somebody();
    const follower = await follow(server, ann);
    const { id } = await set(server, { limit: '1' }, ann);
    for (const microdollars of [400_000, 150_000, 600_000, 1]) await spendAndHear(follower, microdollars, ann);
    expect(story(follower, id)).toEqual([
      'SET 0',
      'SPENT 0.4',
      'SPENT 0.55',
      'THRESHOLD_CROSSED 50 0.55',
      'SPENT 1.15',
      'THRESHOLD_CROSSED 80 1.15',
      'THRESHOLD_CROSSED 100 1.15',
      'SPENT 1.150001',
    ]);
    expect(follower.events.at(-1)).toMatchObject({ remaining: '0', threshold: null });
    expect(await budgets(server, ann)).toMatchObject([
      { spent: '1.150001', crossedThresholds: [50, 80, 100], percentUsed: 115.0001 },
    ]);
    await sleep(TWO_LOOKS_MS);
    expect(follower.events).toHaveLength(8);
    follower.stop();
  });

  it('is told about once a second, however many completions there are', async () => {
    const ann = await somebody();
    const follower = await follow(server, ann);
    await set(server, { limit: '1', thresholds: [] }, ann);
    const began = performance.now();
    let sent = 0;
    for (; performance.now() - began < 2_500; sent++) await spend(server, 1, ann);
    await until(() => Number(follower.events.at(-1)?.spent) === sent / 1e6, 'all that was spent');
    expect(sent).toBeGreaterThan(10);
    expect(follower.events.length).toBeLessThanOrEqual(6);
    follower.stop();
  });

  it('is told at once which thresholds are crossed by what was spent before, and again those of a new limit', async () => {
    const ann = await somebody();
    await spend(server, 900_000, ann);
    await server.services.ledger.drained();
    const follower = await follow(server, ann);
    const { id } = await set(server, { limit: '1' }, ann);
    await set(server, { limit: '1', name: 'The same limit' }, ann);
    await set(server, { limit: '9' }, ann);
    await set(server, { limit: '1.8' }, ann);
    await until(() => follower.events.length === 7, 'seven events');
    expect(story(follower, id)).toEqual([
      'SET 0.9',
      'THRESHOLD_CROSSED 50 0.9',
      'THRESHOLD_CROSSED 80 0.9',
      'SET 0.9',
      'SET 0.9',
      'SET 0.9',
      'THRESHOLD_CROSSED 50 0.9',
    ]);
    follower.stop();
  });

  it('is told the thresholds of a hard budget like those of others, and what was spent above it', async () => {
    const ann = await somebody();
    const follower = await follow(server, ann);
    const { id } = await setAny(server, { limit: '1', enforcement: 'HARD' }, ann);
    for (const microdollars of [700_000, 500_000]) {
      const told = follower.events.length;
      await post(server, Date.now(), microdollars, { userId: ann.id });
      await until(() => follower.events.slice(told).some(({ reason }) => reason === 'SPENT'), 'what was spent');
    }
    const expected = ['SET 0', 'SPENT 0.7', 'THRESHOLD_CROSSED 50 0.7', 'SPENT 1.2'];
    expect(story(follower, id).slice(0, 4)).toEqual(expected);
    expect(thresholdsTold(follower, id)).toEqual([50, 80, 100]);
    follower.stop();
  });

  it('is told when a period starts: with the first spending in it, and at midnight', async () => {
    const ann = await somebody();
    const { prisma } = server.services;
    const follower = await follow(server, ann);
    const { id } = await set(server, { limit: '1', thresholds: [10] }, ann);
    await spendAndHear(follower, 200_000, ann);
    const yesterday = { data: { seenPeriod: new Date(0) }, where: { id } };
    await prisma.budget.update(yesterday);
    await spendAndHear(follower, 1, ann);
    const anew = ['PERIOD_STARTED 0.200001', 'SPENT 0.200001', 'THRESHOLD_CROSSED 10 0.200001'];
    expect(story(follower, id).slice(3)).toEqual(anew);

    const justBeforeMidnight = Date.UTC(2026, 0, 1) - 500;
    const watcher = new BudgetWatcher(server.services, () => justBeforeMidnight);
    await sleep(500);
    await prisma.budget.update(yesterday);
    await until(() => follower.events.length === 9, 'the period at midnight');
    expect(story(follower, id).slice(6)).toEqual(anew);
    await watcher.close();
    follower.stop();
  });

  it('gets a budget as it is now with the event, and nothing of one that was deleted', async () => {
    const ann = await somebody();
    const follower = await follow(server, ann, 'budget { id spent }');
    const { id } = await set(server, { limit: '1' }, ann);
    await until(() => follower.events.length === 1, 'the new budget');
    await spendAndHear(follower, 5, ann);
    await server.query('mutation($id: ID!) { deleteBudget(id: $id) { __typename } }', { id }, ann);
    await until(() => follower.events.at(-1)?.reason === 'DELETED', 'the deletion');
    expect(follower.events.map(({ reason, budget }) => [reason, budget])).toEqual([
      ['SET', { id, spent: '0' }],
      ['SPENT', { id, spent: '0.000005' }],
      ['DELETED', null],
    ]);
    expect(follower.events.at(-1)).toMatchObject({ budgetId: id, spent: '0.000005', remaining: '0.999995' });
    follower.stop();
  });

  it('never gets another user’s budget, nor one of all; an admin gets them all', async () => {
    const [ann, ben] = [await somebody(), await somebody()];
    const key = await newKey(server, ben.id, `key-of-${ben.id}`);
    const [anns, bens, admins] = [await follow(server, ann), await follow(server, ben), await follow(server)];
    const { id: everything } = await set(server, { limit: '1000', scope: 'EVERYTHING' });
    const { id: provider } = await set(server, { limit: '1000', scope: 'PROVIDER', subject: 'till' });
    const { id: user } = await set(server, { limit: '0.00001' }, ben);
    const { id: keys } = await set(server, { limit: '0.00001', scope: 'API_KEY', subject: key.id }, ben);
    const { id: own } = await set(server, { limit: '1' }, ann);
    await spend(server, 20, { apiKey: key.apiKey });
    await until(() => thresholdsTold(bens, keys).length === 3, 'the thresholds of ben’s key');
    await until(() => new Set(admins.events.map(({ budgetId }) => budgetId)).size === 5, 'all budgets for the admin');
    await spendAndHear(anns, 7, ann);
    expect(story(anns, own)).toEqual(['SET 0', 'SPENT 0.000007']);
    expect(anns.events).toHaveLength(2);
    expect(new Set(bens.events.map(({ budgetId }) => budgetId))).toEqual(new Set([user, keys]));
    expect(story(admins, user)).toEqual(story(bens, user));
    expect(story(admins, everything)[0]).toMatch(/^SET /);
    expect(story(admins, provider)[0]).toMatch(/^SET /);
    for (const { stop } of [anns, bens, admins]) stop();
  });

  it('who is an admin no longer gets only what is their own', async () => {
    const { services } = server;
    const boss = await newUser(server, 'boss@example.com', 'ADMIN');
    const follower = await follow(server, boss);
    const { id } = await set(server, { limit: '1000', scope: 'EVERYTHING' });
    await until(() => follower.events.length === 1, 'the budget of all');
    await changeAccounts(services, (tx, revision) =>
      tx.user.update({ where: { id: boss.id }, data: { role: 'USER', revision } }),
    );
    await set(server, { limit: '2000', scope: 'EVERYTHING' });
    const own = await set(server, { limit: '1' }, boss);
    await until(() => follower.events.length > 1, 'a budget of their own');
    expect(follower.events.map(({ budgetId }) => budgetId)).toEqual([id, own.id]);
    expect(follower.errors).toEqual([]);
    follower.stop();
  });
});

describe('the watcher', () => {
  it('tells later what it could not look at because the database failed', async () => {
    const ann = await somebody();
    const { pool } = server.services;
    const follower = await follow(server, ann);
    const { id } = await set(server, { limit: '1' }, ann);
    await pool.query('ALTER TABLE budgets RENAME COLUMN seen_spent TO seen_spent_away');
    await spend(server, 600_000, ann);
    await server.services.ledger.drained();
    await sleep(TWO_LOOKS_MS);
    await pool.query('ALTER TABLE budgets RENAME COLUMN seen_spent_away TO seen_spent');
    await until(() => follower.events.length === 3, 'what was spent meanwhile');
    expect(story(follower, id)).toEqual(['SET 0', 'SPENT 0.6', 'THRESHOLD_CROSSED 50 0.6']);
    follower.stop();
  });

  it('looks again when another server was at it, though nothing more is spent', async () => {
    const ann = await somebody();
    const follower = await follow(server, ann);
    const { id } = await set(server, { limit: '1' }, ann);
    const other = await server.services.pool.connect();
    await other.query('BEGIN');
    await other.query('SELECT pg_advisory_xact_lock(7283501)');
    await spend(server, 600_000, ann);
    await server.services.ledger.drained();
    await sleep(TWO_LOOKS_MS);
    expect(story(follower, id)).toEqual(['SET 0']);
    await other.query('COMMIT');
    other.release();
    await until(() => follower.events.length === 3, 'what was spent meanwhile');
    expect(story(follower, id)).toEqual(['SET 0', 'SPENT 0.6', 'THRESHOLD_CROSSED 50 0.6']);
    follower.stop();
  });

  it('tells at the start what nobody was told, and nothing twice', async () => {
    const ann = await somebody();
    const follower = await follow(server, ann);
    const { id } = await set(server, { limit: '1' }, ann);
    await spendAndHear(follower, 900_000, ann);
    // As if the servers had stopped after 60 cents.
    const data = { seenSpent: 600_000_000_000n.toString(), crossedThreshold: 50 };
    await server.services.prisma.budget.update({ where: { id }, data });
    await new BudgetWatcher(server.services).close();
    await until(() => follower.events.length === 6, 'the rest');
    await new BudgetWatcher(server.services).close();
    await sleep(200);
    expect(story(follower, id).slice(4)).toEqual(['SPENT 0.9', 'THRESHOLD_CROSSED 80 0.9']);
    follower.stop();
  });

  it('does nothing while there is no budget, and wakes up with the first one', async () => {
    const ann = await somebody();
    let statements = 0;
    const prisma = createPrisma(server.connection, 2, () => {
      statements += 1;
    });
    const watcher = new BudgetWatcher({ ...server.services, prisma });
    await until(() => statements > 0, 'the first look');
    await sleep(300);
    const first = statements;
    for (let index = 0; index < 3; index++) {
      await spend(server, 1, ann);
      await sleep(600);
    }
    expect(statements).toBe(first);
    await set(server, { limit: '1' }, ann);
    await until(() => statements > first, 'a look');
    await watcher.close();
    await prisma.$disconnect();
  });
});

describe('two servers over one database', () => {
  it('tell all subscribers the same in the same order, and each threshold once', async () => {
    const peer = await startPeer(server);
    try {
      const ann = await somebody();
      await until(
        () => peer.services.snapshots.current.version === server.services.snapshots.current.version,
        'the peer',
      );
      const here = await follow(server, ann);
      const there = await follow(peer, ann);
      const { id } = await set(server, { limit: '0.0001' }, ann);
      const thresholds = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
      const { id: daily } = await set(peer, { limit: '0.0001', period: 'DAILY', thresholds }, ann);
      for (let index = 0; index < 60; index++) {
        await Promise.all([spend(server, 1, ann), spend(peer, 1, ann)]);
        await sleep(30);
      }
      const isAllTold = ({ events }: Follower) => events.filter(({ spent }) => spent === '0.00012').length >= 2;
      await until(() => isAllTold(here) && isAllTold(there), 'all that was spent');
      await sleep(TWO_LOOKS_MS);
      expect(there.events).toEqual(here.events);
      expect(thresholdsTold(here, id)).toEqual([50, 80, 100]);
      expect(thresholdsTold(here, daily)).toEqual(thresholds);
      expect(await budgets(peer, ann)).toEqual(await budgets(server, ann));
      expect(await budgets(peer, ann)).toMatchObject([{ spent: '0.00012' }, { spent: '0.00012' }]);
    } finally {
      await peer.close();
    }
  });
});
