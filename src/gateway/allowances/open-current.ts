import type { Pool } from 'pg';
import { inTransaction } from '../../platform/database/transaction.ts';
import { openAllowances } from './open-allowances.ts';
import { Periods } from './period.ts';
import { readRules } from './rules.ts';

/**
 * Opens the periods that run now of all budgets, where they are missing: those of budgets that nobody has spent from
 * yet, and all of them after the time zone was changed.
 */
export async function openCurrentAllowances(pool: Pool, timeZone: string): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query('SELECT FROM ledger_head WHERE id = 1 FOR UPDATE');
    const { rows } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    const now = Number(rows[0]?.now);
    const periods = new Periods(timeZone);
    const { rules } = await readRules(client);
    const wanted = rules.map(({ id, period }) => ({ budgetId: id, span: periods.at(period, now) }));
    await openAllowances((sql, values) => client.query(sql, values), wanted);
  });
}
