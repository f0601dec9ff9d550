import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { BudgetView, Told } from './read.ts';

/** What can be told of a budget. */
export type ChangeReason = 'SET' | 'DELETED' | 'SPENT' | 'THRESHOLD_CROSSED' | 'PERIOD_STARTED';

/** One thing that happened to a budget, as the event holds it. Money is picodollars in decimal. */
export interface BudgetChange {
  reason: ChangeReason;
  budgetId: string;
  /** Who may be told besides admins. */
  ownerId: string | null;
  /** The percentage that was crossed, for THRESHOLD_CROSSED. */
  threshold: number | null;
  spent: string;
  remaining: string;
}

type Spending = Pick<BudgetView, 'limit' | 'spent'>;

/** What is neither spent nor set aside: 0 at least. */
export function remaining({ limit, spent, held }: Spending & Pick<BudgetView, 'held'>): Picodollars {
  const used = spent + held;
  return picodollars(used < limit ? limit - used : 0n);
}

/** The share of the limit that is spent, rounded down to 4 decimals: no threshold seems to be reached before it is. */
export function percentUsed({ limit, spent }: Spending): number {
  return Number((spent * 1_000_000n) / limit) / 10_000;
}

/** The thresholds at or below what is spent, ascending. */
export function crossedThresholds({ limit, spent, thresholds }: Spending & { thresholds: number[] }): number[] {
  return thresholds.filter((threshold) => spent * 100n >= limit * BigInt(threshold));
}

export function changeOf(reason: ChangeReason, budget: BudgetView, threshold: number | null = null): BudgetChange {
  return {
    reason,
    budgetId: budget.id,
    ownerId: budget.ownerId,
    threshold,
    spent: budget.spent.toString(),
    remaining: remaining(budget).toString(),
  };
}

/**
 * What subscribers have to be told of a budget since the last time, and what they know then. Each threshold is told
 * once in a period, in ascending order.
 */
export function progressOf(budget: BudgetView): { changes: BudgetChange[]; told: Told } {
  const { told, startsAt, spent } = budget;
  // A clock that went back does not reopen a period.
  if (startsAt && told.startsAt && startsAt < told.startsAt) return { changes: [], told };
  const isNewPeriod = startsAt !== null && told.startsAt !== null && startsAt > told.startsAt;
  const before = isNewPeriod ? { spent: 0n, threshold: 0 } : told;
  const crossed = crossedThresholds(budget).filter((threshold) => threshold > before.threshold);
  const changes: BudgetChange[] = [];
  if (isNewPeriod) changes.push(changeOf('PERIOD_STARTED', budget));
  if (spent !== before.spent) changes.push(changeOf('SPENT', budget));
  for (const threshold of crossed) changes.push(changeOf('THRESHOLD_CROSSED', budget, threshold));
  return { changes, told: { startsAt, spent, threshold: crossed.at(-1) ?? before.threshold } };
}
