import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changeRules } from '../../../src/gateway/allowances/change-rules.ts';
import { openAllowances } from '../../../src/gateway/allowances/open-allowances.ts';
import { BUDGET_PERIODS, type BudgetPeriod, periodAt, startOf } from '../../../src/gateway/allowances/period.ts';
import { SpendingPoster } from '../../../src/gateway/allowances/post-spending.ts';
import type { BudgetScope } from '../../../src/gateway/allowances/rules.ts';
import type { SettledAttempt } from '../../../src/gateway/ledger/open-completions.ts';
import { postBatch, type Totals } from '../../../src/gateway/ledger/post.ts';
import { SeriesIds } from '../../../src/gateway/ledger/series.ts';
import { createPool } from '../../../src/platform/database/connection.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { type Picodollars, picodollars } from '../../../src/platform/money.ts';
import { createDatabase, type TestDatabase } from '../../kit/database.ts';
import { intent, outcome, recordedLog } from '../ledger/kit.ts';

const NOON = Date.parse('2026-11-20T12:00:00Z');
const DAYS_MS = 2 * 86_400_000;
const LONG_AGO = new Date('2026-01-01T00:00:00Z');
const PLENTY = 10n ** 30n;
/** What the process of all holds has leased of each allowance. */
const LEASED = 10n ** 20n;
const HOLDER = uuidv7();

const ids = () => [uuidv7(), uuidv7()] as const;
const SUBJECTS: Readonly<Record<BudgetScope, readonly string[]>> = {
  EVERYTHING: [''],
  USER: ids(),
  API_KEY: ids(),
  ROUTE: ids(),
  PROVIDER: ids(),
};

interface Budget {
  id: string;
  scope: BudgetScope;
  subjectId: string;
  period: BudgetPeriod;
}

let database: TestDatabase;
let pool: pg.Pool;
let client: pg.PoolClient;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool(database.connection, { max: 2, applicationName: 'test', log: recordedLog().log });
  client = await pool.connect();
  await client.query(`INSERT INTO lease_holders (id, server_id) VALUES ($1, 'one')`, [HOLDER]);
});
afterAll(async () => {
  client.release();
  await pool.end();
  await database.drop();
});

const query = (sql: string, values: unknown[]) => client.query(sql, values);

async function inTransaction<T>(work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  const result = await work();
  await client.query('COMMIT');
  return result;
}

/** Begins with an empty ledger and no budgets. */
async function clear(): Promise<void> {
  await inTransaction(async () => {
    await changeRules(query);
    await client.query(`DELETE FROM attempts; DELETE FROM rollup_latencies; DELETE FROM rollups;
      DELETE FROM rollup_series; DELETE FROM budgets; DELETE FROM allowances`);
  });
}

async function insertBudget({ id, scope, subjectId, period }: Budget, createdAt = LONG_AGO): Promise<void> {
  await client.query(
    `INSERT INTO budgets (id, scope, subject_id, period, "limit", enforcement, thresholds, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, 'HARD', '{}', $6, $6)`,
    [id, scope, subjectId, period, PLENTY.toString(), createdAt],
  );
}

/** Leases a lot of every allowance that has no lease yet. */
async function lease(): Promise<void> {
  await client.query(
    `WITH taken AS (
       INSERT INTO leases (allowance_id, holder_id, amount) SELECT id, $1, $2 FROM allowances ON CONFLICT DO NOTHING
       RETURNING allowance_id, amount)
     UPDATE allowances SET leased = amount FROM taken WHERE id = allowance_id`,
    [HOLDER, LEASED.toString()],
  );
}

interface AllowanceRow {
  id: string;
  budgetId: string | null;
  userId: string | null;
  startsAt: Date;
  endsAt: Date | null;
  settled: string;
  leased: string;
  leaseAmount: string | null;
}

async function allowances(): Promise<AllowanceRow[]> {
  const { rows } = await client.query<AllowanceRow>(
    `SELECT id, budget_id AS "budgetId", user_id AS "userId", starts_at AS "startsAt", ends_at AS "endsAt",
       settled::text, leased::text, leases.amount::text AS "leaseAmount"
     FROM allowances LEFT JOIN leases ON allowance_id = id`,
  );
  return rows;
}

function post(totals: Totals, attempts: SettledAttempt[]): Promise<bigint> {
  return postBatch(client, 'one', totals, {
    attempts,
    ...{ completions: [], prices: [], facts: [], position: { segment: 1, offset: 0 } },
  });
}

function costOf({ outcome }: SettledAttempt): bigint {
  return outcome.cost ?? 0n;
}

function isOf({ scope, subjectId }: Budget, { intent: { origin, providerId } }: SettledAttempt): boolean {
  const subjects = { EVERYTHING: '', USER: origin.userId, API_KEY: origin.apiKeyId, ROUTE: origin.routeId };
  return subjectId === (scope === 'PROVIDER' ? providerId : subjects[scope]);
}

const at = fc.integer({ min: NOON - DAYS_MS, max: NOON + DAYS_MS });
const one = (scope: BudgetScope) => fc.constantFrom(...SUBJECTS[scope]);
const attempt = fc
  .record({
    at,
    user: fc.option(one('USER')),
    apiKey: fc.option(one('API_KEY')),
    route: fc.option(one('ROUTE')),
    provider: one('PROVIDER'),
    usedOwnKey: fc.boolean(),
    cost: fc.option(fc.bigInt({ min: 0n, max: 10n ** 14n }).map(picodollars), { freq: 8 }),
    held: fc.option(fc.bigInt({ min: 0n, max: 10n ** 14n }).map(picodollars)),
  })
  .map(({ at, user, apiKey, route, provider, usedOwnKey, cost, held }) => ({
    held,
    outcome: outcome({ cost }),
    intent: intent(
      { startedAt: at, providerId: provider, usedOwnKey },
      { startedAt: at, userId: user, apiKeyId: apiKey, routeId: route },
    ),
  }));
type RandomAttempt = SettledAttempt & { held: Picodollars | null };
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('post' as const),
      attempts: fc.array(attempt, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      budget: fc
        .constantFrom(...(Object.keys(SUBJECTS) as BudgetScope[]))
        .chain((scope) =>
          fc.record({ scope: fc.constant(scope), subjectId: one(scope), period: fc.constantFrom(...BUDGET_PERIODS) }),
        ),
      openAt: fc.option(at),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), index: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('grant' as const), user: one('USER') }) },
);
const timeZone = fc.constantFrom('UTC', 'Asia/Kolkata', 'Asia/Kathmandu', 'America/Havana', 'Pacific/Chatham');

/** What there is, by the simplest means. */
class Model {
  readonly zone: string;
  readonly totals: Totals;
  readonly budgets = new Map<string, Budget>();
  readonly credited = new Set<string>();
  readonly posted: SettledAttempt[] = [];
  /** Budgets and starts of the periods in which something was spent while there was the budget. */
  readonly spentIn = new Set<string>();

  constructor(zone: string) {
    this.zone = zone;
    this.totals = { series: new SeriesIds(), spending: new SpendingPoster(zone) };
  }

  async post(attempts: readonly RandomAttempt[]): Promise<void> {
    await lease();
    // Some are held from every other allowance, whether they count in it or not.
    const allowanceIds = (await allowances()).flatMap(({ id }, index) => (index % 2 === 0 ? id : []));
    const batch = attempts.map(({ intent, outcome, held }) => ({
      outcome,
      intent: { ...intent, hold: held === null ? null : { holderId: HOLDER, allowanceIds, amount: held } },
    }));
    await post(this.totals, batch);
    // As after a crash: it is all there already.
    await post({ series: new SeriesIds(), spending: new SpendingPoster(this.zone) }, batch);
    this.posted.push(...batch);
    for (const one of batch) {
      if (costOf(one) === 0n) continue;
      for (const budget of this.budgets.values()) {
        const span = periodAt(budget.period, new Date(one.intent.origin.startedAt), this.zone);
        if (isOf(budget, one)) this.spentIn.add(`${budget.id} ${Number(startOf(span))}`);
      }
    }
  }

  /** @param openAt null: nothing is opened, as when a period begins */
  async set(budget: Budget, openAt: number | null): Promise<void> {
    if ([...this.budgets.values()].some((other) => isSame(other, budget))) return;
    await inTransaction(async () => {
      await changeRules(query);
      await insertBudget(budget);
      if (openAt === null) return;
      const span = periodAt(budget.period, new Date(openAt), this.zone);
      await openAllowances(query, [{ budgetId: budget.id, span }]);
    });
    this.budgets.set(budget.id, budget);
  }

  async remove(index: number): Promise<void> {
    const id = [...this.budgets.keys()][index % Math.max(1, this.budgets.size)];
    if (id === undefined) return;
    this.budgets.delete(id);
    await inTransaction(async () => {
      await changeRules(query);
      await client.query('DELETE FROM budgets WHERE id = $1', [id]);
    });
  }

  /** Gives a user credits that count from noon, in the place of now. */
  async grant(userId: string): Promise<void> {
    if (this.credited.has(userId)) return;
    this.credited.add(userId);
    await inTransaction(async () => {
      await changeRules(query);
      await client.query(
        `INSERT INTO allowances (id, kind, user_id, starts_at, "limit", settled) VALUES ($1, 'CREDITS', $2, $3, $4, $5)`,
        [uuidv7(), userId, new Date(NOON), PLENTY.toString(), this.creditsSpent(userId).toString()],
      );
    });
  }

  async expectSums(): Promise<void> {
    const rows = await allowances();
    for (const row of rows) {
      expect(row.settled).toBe(this.#settled(row).toString());
      expect(row.leased).toBe(row.leaseAmount ?? '0');
      if (row.leaseAmount !== null) expect(LEASED - BigInt(row.leaseAmount)).toBe(this.#freed(row.id));
    }
    const open = new Set(rows.map(({ budgetId, startsAt }) => `${budgetId} ${Number(startsAt)}`));
    const missing = [...this.spentIn].filter((name) => this.budgets.has(name.split(' ')[0] ?? '') && !open.has(name));
    expect(missing).toEqual([]);
  }

  creditsSpent(userId: string): bigint {
    return sumOf(
      this.posted.filter(
        ({ intent: { origin, usedOwnKey } }) => origin.userId === userId && !usedOwnKey && origin.startedAt >= NOON,
      ),
    );
  }

  #settled({ budgetId, userId, startsAt, endsAt }: AllowanceRow): bigint {
    const budget = this.budgets.get(budgetId ?? '');
    if (!budget) return this.creditsSpent(userId ?? '');
    return sumOf(
      this.posted.filter((one) => {
        const at = one.intent.origin.startedAt;
        return isOf(budget, one) && at >= Number(startsAt) && (endsAt === null || at < Number(endsAt));
      }),
    );
  }

  #freed(allowanceId: string): bigint {
    return this.posted.reduce((sum, one) => {
      const { hold } = one.intent;
      if (!hold?.allowanceIds.includes(allowanceId)) return sum;
      return sum + (costOf(one) < hold.amount ? costOf(one) : hold.amount);
    }, 0n);
  }
}

describe('posting', () => {
  it('keeps in every allowance the sum of what counts in it, and takes that out of the leases it was held from', async () => {
    const actions = fc.array(action, { minLength: 3, maxLength: 14 });
    await fc.assert(
      fc.asyncProperty(timeZone, actions, async (zone, actions) => {
        await clear();
        const model = new Model(zone);
        for (const act of actions) {
          if (act.do === 'post') await model.post(act.attempts);
          else if (act.do === 'set') await model.set({ id: uuidv7(), ...act.budget }, act.openAt);
          else if (act.do === 'remove') await model.remove(act.index);
          else await model.grant(act.user);
          await model.expectSums();
        }
      }),
      { numRuns: 30 },
    );
  });

  it('does not open periods that were over before there was the budget', async () => {
    await clear();
    const budget: Budget = { id: uuidv7(), scope: 'EVERYTHING', subjectId: '', period: 'DAILY' };
    await insertBudget(budget, new Date(NOON));
    const spent = (at: number) => ({ intent: intent({}, { startedAt: at }), outcome: outcome() });
    await post({ series: new SeriesIds(), spending: new SpendingPoster('UTC') }, [
      spent(NOON - DAYS_MS),
      spent(NOON - 1),
    ]);
    expect(await allowances()).toMatchObject([{ startsAt: new Date('2026-11-20T00:00:00Z'), settled: '3000' }]);
  });
});

describe('an allowance', () => {
  const zones = ['Asia/Kolkata', 'Asia/Kathmandu', 'America/Havana'];

  it.each(zones)('that is opened late holds what was spent in its period to the minute: %s', async (zone) => {
    await clear();
    const { startsAt, endsAt } = periodAt('DAILY', new Date(NOON), zone);
    const bounds = [Number(startsAt), Number(endsAt)] as const;
    const around = [-1_800_000, -900_000, -1, 0, 59_999, 1_800_000];
    const times = bounds.flatMap((bound) => around.map((more) => bound + more));
    const attempts = times.map((at, index) => ({
      intent: intent({}, { startedAt: at }),
      outcome: outcome({ cost: picodollars(10n ** BigInt(index)) }),
    }));
    await post({ series: new SeriesIds(), spending: new SpendingPoster(zone) }, attempts);
    const budget: Budget = { id: uuidv7(), scope: 'EVERYTHING', subjectId: '', period: 'DAILY' };
    await insertBudget(budget);
    const wanted = [{ budgetId: budget.id, span: { startsAt, endsAt } }];
    await openAllowances(query, wanted);
    // From its first instant to the last before its end.
    expect(await allowances()).toMatchObject([{ settled: '111111000', startsAt, endsAt }]);
  });

  it('is opened once, and never for a budget that is gone', async () => {
    await clear();
    const budget: Budget = { id: uuidv7(), scope: 'EVERYTHING', subjectId: '', period: 'MONTHLY' };
    await insertBudget(budget);
    const span = periodAt('MONTHLY', new Date(NOON), 'UTC');
    await openAllowances(query, [{ budgetId: budget.id, span }]);
    const before = await allowances();
    await client.query('UPDATE budgets SET "limit" = 1');
    await openAllowances(query, [
      { budgetId: budget.id, span },
      { budgetId: uuidv7(), span },
    ]);
    expect(await allowances()).toEqual(before);
    expect(before).toMatchObject([{ budgetId: budget.id, settled: '0', leased: '0' }]);
  });
});

function isSame(one: Budget, other: Budget): boolean {
  return one.scope === other.scope && one.subjectId === other.subjectId && one.period === other.period;
}

function sumOf(attempts: readonly SettledAttempt[]): bigint {
  return attempts.reduce((sum, attempt) => sum + costOf(attempt), 0n);
}
