import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeOffLost } from '../../../src/gateway/allowances/lease-statements.ts';
import { Leases } from '../../../src/gateway/allowances/leases.ts';
import { openCurrentAllowances } from '../../../src/gateway/allowances/open-current.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { createLog } from '../../../src/platform/log.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { createDatabase, type TestDatabase } from '../../kit/database.ts';
import { until } from '../../kit/eventually.ts';
import { USER } from './model.ts';

const SERVER = 'server-0';
const silent = createLog({ logLevel: 'silent' });
const spender = { userId: USER, apiKeyId: null, routeId: null, providerId: null };

let database: TestDatabase;
let pool: pg.Pool;
let leases: Leases;
let drained: () => Promise<void>;

beforeAll(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ ...database.connection, max: 8 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(async () => {
  await pool.query('DELETE FROM budgets');
  await pool.query('DELETE FROM lease_holders');
  await pool.query('DELETE FROM write_offs');
  await pool.query(
    `INSERT INTO budgets (id, scope, subject_id, period, "limit", enforcement, thresholds, updated_at)
     VALUES ($1, 'USER', $2, 'TOTAL', 1000000, 'HARD', '{}', now())`,
    [uuidv7(), USER],
  );
  await pool.query('UPDATE ledger_head SET budgets_version = budgets_version + 1');
  await openCurrentAllowances(pool, 'UTC');
  drained = async () => undefined;
  leases = await Leases.open({ pool, serverId: SERVER, timeZone: 'UTC', drained: () => drained(), log: silent });
});
afterEach(() => leases.abandon());

async function hold(amount: bigint) {
  const worst = { input: amount, perToken: 1n, outputTokens: 0, fewestTokens: 0 };
  return leases.hold({ limits: leases.limitsOf({ spender, creditsId: null, at: Date.now() }), worst });
}

async function standing(): Promise<{ settled: number; leased: number; holders: string[] }> {
  const { rows } = await pool.query(
    `SELECT settled::int, leased::int, ARRAY(SELECT id::text FROM lease_holders) AS holders FROM allowances`,
  );
  return rows[0];
}

/** Takes the allowance's row for as long as somebody waits for it. */
async function block(): Promise<() => Promise<void>> {
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM allowances FOR UPDATE');
  return async () => {
    await client.query('COMMIT');
    client.release();
  };
}

describe('a server whose statement was given up', () => {
  it('frees what that leased all the same once it is carried out', async () => {
    const unblock = await block();
    await expect(hold(1_000n)).rejects.toThrow('The database is away');
    await sleep(1_500);
    await unblock();
    await sleep(500);
    await until(async () => (await standing()).leased === 0, 'it is freed', 5_000);
  }, 40_000);

  it('goes on renewing what it has, and ends, while the ledger takes long', async () => {
    const held = await hold(100n);
    drained = () => new Promise(() => undefined);
    // What is idle is given back by a statement that fails.
    await pool.query('ALTER TABLE leases RENAME TO leases_away');
    await leases.notice((await pool.query('SELECT id FROM allowances')).rows[0].id);
    await pool.query('ALTER TABLE leases_away RENAME TO leases');
    held.settle(picodollars(100n));
    await sleep(2_500);
    const at = async () => Number((await pool.query('SELECT max(renewed_at) AS at FROM lease_holders')).rows[0].at);
    const before = await at();
    await until(async () => (await at()) > before, 'it is renewed');
    await leases.abandon();
  }, 20_000);
});

describe('a server that slept until its leases were written off', () => {
  it('spends them no more, and gets back what it did not spend', async () => {
    const held = await hold(100n);
    await pool.query("UPDATE lease_holders SET renewed_at = now() - interval '21 minutes'");
    expect(await writeOffLost(pool)).toHaveLength(1);
    await sleep(2_500);
    const [{ holders: former }, next] = [await standing(), await hold(100n)];
    expect(former).toEqual([]);
    expect(next.hold.holderId).not.toBe(held.hold.holderId);
    held.settle(picodollars(0n));
    await until(async () => (await standing()).settled === 0, 'what was written off comes back');
    next.settle(picodollars(0n));
  }, 20_000);
});

describe('budgets that are changed while they are read', () => {
  it('hold as they were changed last, whichever reading ends last', async () => {
    const query = pool.query.bind(pool);
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let readings = 0;
    vi.spyOn(pool, 'query').mockImplementation((async (text: string, values?: unknown[]) => {
      const result = await query(text, values);
      if (text.includes('FROM budgets') && ++readings === 1) await held;
      return result;
    }) as never);
    const change = (enforcement: string) =>
      query(
        `WITH changed AS (UPDATE budgets SET enforcement = $1::"BudgetEnforcement")
        UPDATE ledger_head SET budgets_version = budgets_version + 1`,
        [enforcement],
      );
    await change('SOFT');
    const slow = leases.refresh();
    await until(() => readings === 1, 'they are read');
    await change('HARD');
    await leases.refresh();
    goOn();
    await slow;
    expect(leases.limitsOf({ spender, creditsId: null, at: Date.now() })).toHaveLength(1);
    vi.restoreAllMocks();
  });
});
