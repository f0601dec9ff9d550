import type { Query } from '../../platform/database/query.ts';
import { LEASES_CHANNEL, RULES_CHANGED } from './lease-statements.ts';

/**
 * To be called before budgets or credits are changed: holds the ledger's head until the transaction ends, and then makes
 * all who keep the rules in memory read them again.
 */
export async function changeRules(query: Query): Promise<void> {
  await query('UPDATE ledger_head SET budgets_version = budgets_version + 1 WHERE id = 1', []);
  await query('SELECT pg_notify($1, $2)::text', [LEASES_CHANNEL, RULES_CHANGED]);
}
