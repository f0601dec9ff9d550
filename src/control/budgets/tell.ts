import { publishEvent } from '../../platform/events/feed.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { type BudgetChange, progressOf } from './progress.ts';
import { readBudgets, readClock, type Told } from './read.ts';

/** Whoever changes budgets, or what was told of them, holds this advisory lock until the transaction ends. */
const LOCK = 7_283_501;

const TRANSACTION = { maxWait: 5_000, timeout: 30_000 };

/** What the event of the topic BUDGETS holds. */
export interface BudgetEvent {
  /** In the order in which they are told. */
  changes: BudgetChange[];
}

/** Waits for its turn to change budgets. */
export async function lockBudgets(tx: Transaction): Promise<void> {
  await tx.$queryRaw`SELECT pg_advisory_xact_lock(${LOCK})::text`;
}

/**
 * Compares what is spent of each budget with what subscribers were told last, and tells them the rest as one event.
 * @returns NONE: there are no budgets. BUSY: somebody else is at it, who may have read before the latest commits.
 */
export async function tellProgress({
  prisma,
  settings,
}: Pick<Services, 'prisma' | 'settings'>): Promise<'TOLD' | 'NONE' | 'BUSY'> {
  return prisma.$transaction(async (tx) => {
    const [turn] = await tx.$queryRaw<{ isMine: boolean }[]>`SELECT pg_try_advisory_xact_lock(${LOCK}) AS "isMine"`;
    if (!turn?.isMine) return 'BUSY';
    const budgets = await readBudgets(tx, {}, await readClock(tx, settings));
    const news = budgets
      .map((budget) => ({ id: budget.id, ...progressOf(budget) }))
      .filter(({ changes }) => changes.length > 0);
    if (news.length > 0) {
      await remember(tx, news);
      await publishChanges(
        tx,
        news.flatMap(({ changes }) => changes),
      );
    }
    return budgets.length > 0 ? 'TOLD' : 'NONE';
  }, TRANSACTION);
}

/** Writes what subscribers know of budgets once this transaction is committed. */
export async function remember(tx: Transaction, budgets: readonly { id: string; told: Told }[]): Promise<void> {
  const rows = budgets.map(({ id, told }) => ({ ...told, id, spent: told.spent.toString() }));
  await tx.$executeRaw`
    UPDATE budgets SET seen_period = told."startsAt", seen_spent = told.spent, crossed_threshold = told.threshold
    FROM json_to_recordset(${JSON.stringify(rows)}::json)
      AS told (id uuid, "startsAt" timestamptz, spent numeric, threshold int)
    WHERE budgets.id = told.id`;
}

/** The last statement of a transaction. */
export async function publishChanges(tx: Transaction, changes: BudgetChange[]): Promise<void> {
  await publishEvent(tx, 'BUDGETS', { changes } satisfies BudgetEvent);
}
