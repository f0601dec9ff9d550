import { type Caller, isAdmin } from '../../gateway/admission/caller.ts';
import { changeRules } from '../../gateway/allowances/change-rules.ts';
import { openAllowances } from '../../gateway/allowances/open-allowances.ts';
import { startOf } from '../../gateway/allowances/period.ts';
import type { Budget } from '../../generated/prisma/client.ts';
import { ConflictError, ForbiddenError, invalid, NotFoundError } from '../../platform/errors.ts';
import { isUuid, uuidv7 } from '../../platform/ids.ts';
import type { Settings } from '../../platform/settings.ts';
import { queryIn, type Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { accountOf, isTheirs, visibleOwner } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { requireVersion } from '../schema/require-version.ts';
import { type SetBudgetInput, setBudgetInput } from './input.ts';
import { changeOf, crossedThresholds, progressOf } from './progress.ts';
import { type BudgetFilter, type BudgetView, readBudgets, readClock, type Told } from './read.ts';
import { findSubject } from './subject.ts';
import { lockBudgets, publishChanges, remember } from './tell.ts';

/** How many budgets there may be: their list is one page, and one look at their spending reads them all. */
export const BUDGET_LIMITS = { all: 1_000, ofOneUser: 100 };

/** How long a change may wait for its connection, and take itself with those before it. */
const TRANSACTION = { maxWait: 5_000, timeout: 30_000 };

/** Budgets that the caller may see, in the order in which they were made. */
export async function listBudgets(
  { prisma, settings }: Pick<Services, 'prisma' | 'settings'>,
  caller: Caller,
  filter: Omit<BudgetFilter, 'ownerId'>,
): Promise<BudgetView[]> {
  const ownerId = visibleOwner(caller, null);
  return readBudgets(prisma, { ...filter, ownerId }, await readClock(prisma, settings));
}

/** The budget, or null when there is none that the caller may see. */
export async function findBudget(
  services: Pick<Services, 'prisma' | 'settings'>,
  caller: Caller,
  id: string,
): Promise<BudgetView | null> {
  if (!isUuid(id)) return null;
  const [budget] = await listBudgets(services, caller, { id });
  return budget ?? null;
}

/**
 * Sets the budget of a scope, subject and period, in the place of the one there was. Tells subscribers at once, also
 * of thresholds that what is spent already has crossed.
 * @throws ValidationError, ForbiddenError, ConflictError when `version` is stale, and what `findSubject` throws.
 */
export async function setBudget(
  services: Pick<Services, 'prisma' | 'snapshots' | 'settings' | 'leases'>,
  caller: Caller,
  input: SetBudgetInput,
): Promise<BudgetView> {
  const { subject: wanted, version, ...columns } = parseInput(setBudgetInput, input);
  const { scope, period } = columns;
  const subject = await findSubject(services, caller, scope, wanted);
  return changeBudgets(services, async (tx) => {
    const key = { scope, subjectId: subject.id, period };
    const previous = await tx.budget.findUnique({ where: { scope_subjectId_period: key } });
    if (previous) assertUnmanaged(previous, caller);
    assertVersion(previous, version ?? null);
    if (!previous) await assertRoom(tx, subject.ownerId);
    await changeRules(queryIn(tx));
    const { ownerId } = subject;
    const isManaged = ownerId !== null && ownerId !== accountOf(caller).id;
    const data = { ...columns, limit: columns.limit.toString(), ownerId, isManaged };
    const { id } = previous
      ? await tx.budget.update({ where: { id: previous.id }, data: { ...data, version: { increment: 1 } } })
      : await tx.budget.create({ data: { ...data, id: uuidv7(), subjectId: subject.id } });
    const budget = await openBudget(tx, { id, ownerId: subject.ownerId }, services.settings);
    const { changes, told } = progressOf({ ...budget, told: toldBefore(budget, previous !== null) });
    await remember(tx, [{ id, told }]);
    await publishChanges(tx, [changeOf('SET', budget), ...changes]);
    return budget;
  });
}

/**
 * Deletes a budget for good.
 * @returns the budget as it was.
 * @throws NotFoundError; ForbiddenError when it is not the caller's, or there is none and the caller is no admin.
 */
export async function deleteBudget(
  services: Pick<Services, 'prisma' | 'settings' | 'leases'>,
  caller: Caller,
  id: string,
): Promise<BudgetView> {
  return changeBudgets(services, async (tx) => {
    const row = isUuid(id) ? await tx.budget.findUnique({ where: { id } }) : null;
    if (!isTheirs(caller, row?.ownerId ?? null))
      throw new ForbiddenError('None of your budgets has this id; those of others are for admins.');
    if (!row) throw new NotFoundError('There is no budget with this id.');
    assertUnmanaged(row, caller);
    const budget = await readBudget(tx, row, services.settings);
    await changeRules(queryIn(tx));
    await tx.budget.delete({ where: { id: row.id } });
    await publishChanges(tx, [changeOf('DELETED', budget)]);
    return budget;
  });
}

/** Changes happen one after the other. Returns once this server sets money aside by the change. */
async function changeBudgets<T>(
  { prisma, leases }: Pick<Services, 'prisma' | 'leases'>,
  change: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const result = await prisma.$transaction(async (tx) => {
    await lockBudgets(tx);
    return change(tx);
  }, TRANSACTION);
  await leases.refresh();
  return result;
}

/**
 * Gives the period that runs its allowance, and the limit that the budget has now; a server whose clock is ahead may have
 * opened the next one already. The ledger's head is held.
 */
async function openBudget(
  tx: Transaction,
  budget: { id: string; ownerId: string | null },
  settings: Pick<Settings, 'timeZone'>,
): Promise<BudgetView> {
  const { id, startsAt, endsAt } = await readBudget(tx, budget, settings);
  await openAllowances(queryIn(tx), [{ budgetId: id, span: { startsAt, endsAt } }]);
  await tx.$executeRaw`
    UPDATE allowances SET "limit" = budgets."limit" FROM budgets
    WHERE budgets.id = ${id}::uuid AND budget_id = budgets.id AND starts_at >= ${startOf({ startsAt, endsAt })}`;
  return readBudget(tx, budget, settings);
}

async function readBudget(
  tx: Transaction,
  { id, ownerId }: { id: string; ownerId: string | null },
  settings: Pick<Settings, 'timeZone'>,
): Promise<BudgetView> {
  const [budget] = await readBudgets(tx, { id, ownerId }, await readClock(tx, settings));
  if (!budget) throw new Error(`The budget ${id}, which this transaction holds, could not be read.`);
  return budget;
}

/**
 * Of a new budget nothing was told. One that was set again keeps what was told, but thresholds that its new limit puts
 * out of reach may be crossed again.
 */
function toldBefore(budget: BudgetView, isKnown: boolean): Told {
  if (!isKnown) return { startsAt: budget.startsAt, spent: budget.spent, threshold: 0 };
  const reached = crossedThresholds(budget).at(-1) ?? 0;
  return { ...budget.told, threshold: Math.min(budget.told.threshold, reached) };
}

/** @throws ForbiddenError when an admin has set it on the caller */
function assertUnmanaged({ isManaged }: Budget, caller: Caller): void {
  if (isManaged && !isAdmin(caller))
    throw new ForbiddenError('An admin has set this budget; only admins may change it.');
}

function assertVersion(previous: Budget | null, version: number | null): void {
  if (previous) requireVersion('budget', previous.version, version);
  else if (version !== null)
    throw new ConflictError(
      `There is no such budget that version ${version} could be of; leave the version out to set a new one.`,
    );
}

/** The lock on budgets is held, so no one adds another meanwhile. */
async function assertRoom(tx: Transaction, ownerId: string | null): Promise<void> {
  const refuse = (whose: string, limit: number) => {
    throw invalid('', `${whose} has ${limit} budgets already; delete one first.`);
  };
  if (ownerId && (await tx.budget.count({ where: { ownerId } })) >= BUDGET_LIMITS.ofOneUser)
    refuse('This user', BUDGET_LIMITS.ofOneUser);
  if ((await tx.budget.count()) >= BUDGET_LIMITS.all) refuse('This Signalbox', BUDGET_LIMITS.all);
}
