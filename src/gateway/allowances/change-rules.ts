import type { Query } from '../../platform/database/query.ts';

/**
 * To be called before budgets or credits are changed: holds the ledger's head until the transaction ends, and makes
 * those who keep the rules in memory read them again.
 */
export async function changeRules(query: Query): Promise<void> {
  await query('UPDATE ledger_head SET budgets_version = budgets_version + 1 WHERE id = 1', []);
}
