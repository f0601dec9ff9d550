import pg from 'pg';
import type { DatabaseConnection } from '../../platform/database/connection.ts';
import { checkBudgets } from './budgets.ts';
import type { Books, Check, Finding } from './check.ts';
import { checkCompletions } from './completions.ts';
import { checkCorrections } from './corrections.ts';
import { checkCosts } from './costs.ts';
import { checkCredits } from './credits.ts';
import { tellJournals } from './journals.ts';
import { checkLeases } from './leases.ts';
import { checkRollups } from './rollups.ts';
import { checkSequence } from './sequence.ts';

export type { Finding } from './check.ts';

const CHECKS: readonly Check[] = [
  checkCompletions,
  checkCosts,
  checkCorrections,
  checkSequence,
  checkRollups,
  checkBudgets,
  checkCredits,
  checkLeases,
  tellJournals,
];

/**
 * Compares every sum that is kept with the ledger, at one moment: it may run while servers do, and changes nothing. It
 * takes as long as reading the ledger does.
 * @param timeZone in which the periods of budgets begin
 * @param onFinding told of each as soon as it is there
 * @returns whether everything agrees
 */
export async function reconcile(
  connection: DatabaseConnection,
  timeZone: string,
  onFinding: (finding: Finding) => void,
): Promise<boolean> {
  const client = new pg.Client({ ...connection, application_name: 'signalbox doctor', keepAlive: true });
  // A connection that breaks fails the next statement.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const books = await openBooks(client, timeZone);
    let isRight = true;
    for (const check of CHECKS) {
      for (const finding of await check(books)) {
        isRight &&= finding.wrong.length === 0;
        onFinding(finding);
      }
    }
    return isRight;
  } finally {
    await client.end();
  }
}

async function openBooks(client: pg.Client, timeZone: string): Promise<Books> {
  const query: Books['query'] = async <Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) =>
    (await client.query<Row>(sql, [...values])).rows;
  // A completion has its id a moment before it is admitted: from the next hour on all of them are there.
  const [row] = await query<{ now: Date; since: Date | null }>(
    `SELECT now(), kept_from + interval '1 hour' AS since FROM ledger_head WHERE id = 1`,
  );
  if (!row) throw new Error('The table ledger_head has no row; run the migrations.');
  return { query, timeZone, ...row };
}
