import type pg from 'pg';
import type { Hold } from '../ledger/records.ts';
import { LEASES_CHANNEL } from './lease-statements.ts';
import { openAllowances, type WantedPeriod } from './open-allowances.ts';
import { Periods, startOf } from './period.ts';
import { BudgetRules, readRules, type Spender } from './rules.ts';

/** Money on the ledger: what an attempt or tracked usage cost, or how much a correction adds to that. */
export interface Spending extends Spender {
  /** When it was admitted, in milliseconds since 1970: it counts in the periods of that moment. */
  at: number;
  /** Picodollars; negative where a correction says that it cost less. */
  amount: bigint;
  /** The user whose credits pay it, if they had any by then; null: it is free of credits. */
  creditsOf: string | null;
  /** What was set aside for it. */
  hold: Hold | null;
}

/**
 * Adds spending to the allowances in which it counts, and takes it out of the leases that it was held from. What is not
 * spent of a hold stays in its lease: the process that has it knows.
 */
export class SpendingPoster {
  readonly #periods: Periods;
  #rules = BudgetRules.NONE;
  #hasCredits = false;
  #version: bigint | null = null;

  /** @param timeZone in which periods begin */
  constructor(timeZone: string) {
    this.#periods = new Periods(timeZone);
  }

  /**
   * To be called once the roll-ups of the same transaction hold the spending, and last in it: from here on the rows of
   * allowances are locked. Four statements at most.
   * @param client holds the ledger's head
   * @param budgetsVersion of that head
   */
  async post(client: pg.ClientBase, spendings: readonly Spending[], budgetsVersion: bigint): Promise<void> {
    if (this.#version !== budgetsVersion) await this.#readRules(client, budgetsVersion);
    const held = heldAmounts(spendings);
    if (this.#rules.rules.length === 0 && !this.#hasCredits && held.length === 0) return;
    const counted = this.#count(spendings);
    const users = this.#hasCredits ? [...new Set(spendings.flatMap(({ creditsOf }) => creditsOf ?? []))] : [];
    const found = await findAllowances(client, counted, users, held);
    const changes = new Map<string, bigint>();
    const add = (id: string, amount: bigint) => changes.set(id, (changes.get(id) ?? 0n) + amount);
    const missing: WantedPeriod[] = [];
    for (const [name, { amount, ...wanted }] of counted) {
      const id = found.ofBudgets.get(name);
      if (id !== undefined) add(id, amount);
      else missing.push(wanted);
    }
    for (const { creditsOf, at, amount } of spendings) {
      const credits = creditsOf === null ? undefined : found.ofUsers.get(creditsOf);
      if (credits && at >= credits.startsAt) add(credits.id, amount);
    }
    // The roll-ups hold the spending already, so that what is opened now has it.
    await openAllowances((sql, values) => client.query(sql, values), missing);
    if (changes.size > 0 || held.length > 0) await change(client, changes, held);
  }

  /** What is to be added to each period of each budget. */
  #count(spendings: readonly Spending[]): Map<string, WantedPeriod & { amount: bigint }> {
    const counted = new Map<string, WantedPeriod & { amount: bigint }>();
    for (const spending of spendings) {
      if (spending.amount === 0n) continue;
      for (const { id, period, createdAt } of this.#rules.of(spending)) {
        const span = this.#periods.at(period, spending.at);
        // A period that was over before there was the budget is nobody's business.
        if (span.endsAt && span.endsAt <= createdAt) continue;
        const name = nameOf(id, startOf(span));
        const entry = counted.get(name);
        if (entry) entry.amount += spending.amount;
        else counted.set(name, { budgetId: id, span, amount: spending.amount });
      }
    }
    return counted;
  }

  async #readRules(client: pg.ClientBase, version: bigint): Promise<void> {
    this.#rules = await readRules(client);
    const { rows } = await client.query<{ found: boolean }>(
      `SELECT EXISTS (SELECT FROM allowances WHERE kind = 'CREDITS') AS found`,
    );
    this.#hasCredits = rows[0]?.found ?? false;
    this.#version = version;
  }
}

/** What of a lease is spent now. */
interface HeldAmount {
  allowance_id: string;
  holder_id: string;
  amount: string;
}

function heldAmounts(spendings: readonly Spending[]): HeldAmount[] {
  const sums = new Map<string, { allowanceId: string; holderId: string; amount: bigint }>();
  for (const { hold, amount } of spendings) {
    if (!hold || amount <= 0n) continue;
    const spent = amount < hold.amount ? amount : hold.amount;
    for (const allowanceId of hold.allowanceIds) {
      const name = `${allowanceId} ${hold.holderId}`;
      const sum = sums.get(name);
      if (sum) sum.amount += spent;
      else sums.set(name, { allowanceId, holderId: hold.holderId, amount: spent });
    }
  }
  return [...sums.values()].map(({ allowanceId, holderId, amount }) => ({
    allowance_id: allowanceId,
    holder_id: holderId,
    amount: amount.toString(),
  }));
}

interface Found {
  ofBudgets: ReadonlyMap<string, string>;
  ofUsers: ReadonlyMap<string, { id: string; startsAt: number }>;
}

/** Locks the allowances that are to be changed, in the order of their ids. */
async function findAllowances(
  client: pg.ClientBase,
  counted: ReadonlyMap<string, WantedPeriod>,
  users: readonly string[],
  held: readonly HeldAmount[],
): Promise<Found> {
  const wanted = [...counted.values()].map(({ budgetId, span }) => ({
    budget_id: budgetId,
    starts_at: startOf(span),
  }));
  const { rows } = await client.query<{
    id: string;
    budgetId: string | null;
    userId: string | null;
    startsAt: Date;
  }>(FIND, [JSON.stringify(wanted), users, [...new Set(held.map(({ allowance_id }) => allowance_id))]]);
  const ofBudgets = new Map<string, string>();
  const ofUsers = new Map<string, { id: string; startsAt: number }>();
  for (const { id, budgetId, userId, startsAt } of rows) {
    if (budgetId !== null) ofBudgets.set(nameOf(budgetId, startsAt), id);
    if (userId !== null) ofUsers.set(userId, { id, startsAt: Number(startsAt) });
  }
  return { ofBudgets, ofUsers };
}

async function change(
  client: pg.ClientBase,
  changes: ReadonlyMap<string, bigint>,
  held: readonly HeldAmount[],
): Promise<void> {
  const settled = [...changes].map(([id, amount]) => ({ id, amount: amount.toString() }));
  await client.query(CHANGE, [JSON.stringify(settled), JSON.stringify(held), LEASES_CHANNEL]);
}

function nameOf(budgetId: string, startsAt: Date): string {
  return `${budgetId} ${Number(startsAt)}`;
}

const FIND = `
  SELECT id, budget_id AS "budgetId", user_id AS "userId", starts_at AS "startsAt" FROM allowances
  WHERE id IN (
    SELECT a.id FROM json_to_recordset($1) AS wanted (budget_id uuid, starts_at timestamptz)
      JOIN allowances a ON a.budget_id = wanted.budget_id AND a.starts_at = wanted.starts_at
    UNION ALL SELECT id FROM allowances WHERE user_id = ANY($2::uuid[])
    UNION ALL SELECT unnest($3::uuid[])
  )
  ORDER BY id FOR UPDATE`;

/**
 * A lease that was written off is gone, and frees nothing. Nothing goes below 0: that would stop the drain for ever. Where
 * more is spent than there was, whoever still has something idle is told.
 */
const CHANGE = `
  WITH freed AS (
    UPDATE leases SET amount = greatest(leases.amount - held.amount, 0)
    FROM json_to_recordset($2) AS held (allowance_id uuid, holder_id uuid, amount numeric)
    WHERE leases.allowance_id = held.allowance_id AND leases.holder_id = held.holder_id
    RETURNING leases.allowance_id AS id, held.amount
  ), changes AS (
    SELECT id, sum(settled) AS settled, sum(freed) AS freed FROM (
      SELECT id, amount AS settled, 0 AS freed FROM json_to_recordset($1) AS added (id uuid, amount numeric)
      UNION ALL SELECT id, 0, amount FROM freed
    ) AS parts GROUP BY id
  ), changed AS (
    UPDATE allowances SET settled = allowances.settled + changes.settled,
      leased = greatest(allowances.leased - changes.freed, 0)
    FROM changes WHERE allowances.id = changes.id
    RETURNING allowances.id, allowances.leased > 0 AND allowances.settled + allowances.leased > allowances."limit" AS is_over
  )
  SELECT pg_notify($3, id::text) FROM changed WHERE is_over`;
