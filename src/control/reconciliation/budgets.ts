import { BUDGET_PERIODS, periodAt, startOf } from '../../gateway/allowances/period.ts';
import { toUsd } from '../../platform/money.ts';
import { type Books, type Check, sinceOf, tell } from './check.ts';
import { COUNTED } from './counted.ts';

interface Row {
  budget: string;
  scope: string;
  starts: Date;
  settled: string;
  ledger: string;
  limit: string;
  budgetLimit: string | null;
}

/** What budgets have spent, in each of their periods, is what the ledger has of their subjects in that time. */
export const checkBudgets: Check = async (books) => {
  const periods = BUDGET_PERIODS.map((period) => {
    const span = periodAt(period, books.now, books.timeZone);
    return { period, starts: startOf(span), ends: span.endsAt };
  });
  const all = await books.query<Row>(BUDGETS, [sinceOf(books), JSON.stringify(periods)]);
  const ahead = await costAhead(books);
  // Of what began before, not all rows are there.
  const rows = all.filter(({ starts }) => books.since === null || starts >= books.since);
  const skipped = all.length - rows.length;
  const sum = (name: 'settled' | 'ledger') => rows.reduce((total, row) => total + BigInt(row[name]), 0n);
  const notes = [
    ...(ahead > 0n ? [`up to $${toUsd(ahead)} of completions that still run`] : []),
    ...(skipped > 0 ? [`${skipped} reach further back than the rows that are kept`] : []),
  ];
  return [
    {
      name: 'spending of budgets',
      sides: [`${rows.length} periods of $${toUsd(sum('settled'))}, ledger $${toUsd(sum('ledger'))}`, ...notes].join(
        '; ',
      ),
      wrong: [
        ...tell(
          rows.filter(({ settled, ledger }) => !isSettled(settled, ledger, ahead)),
          ({ budget, starts, settled, ledger }) =>
            `budget ${budget} from ${starts.toISOString()} on has spent $${toUsd(BigInt(settled))}, but the ledger says $${toUsd(BigInt(ledger))}`,
        ),
        ...tell(
          all.filter(({ limit, budgetLimit }) => budgetLimit !== null && limit !== budgetLimit),
          ({ budget, limit, budgetLimit }) =>
            `budget ${budget} has a limit of $${toUsd(BigInt(budgetLimit ?? 0))}, but its period that runs one of $${toUsd(BigInt(limit))}`,
        ),
      ],
    },
  ];
};

/** Attempts of completions that still run have been counted, but whose they are is not on the ledger yet. */
export async function costAhead(books: Books): Promise<bigint> {
  const [row] = await books.query<{ cost: string }>(
    `WITH ${COUNTED} SELECT coalesce(sum(cost), 0)::text AS cost FROM attempts_ahead`,
    [sinceOf(books)],
  );
  return BigInt(row?.cost ?? 0);
}

/** @param ahead what may have been counted already beside what the ledger says */
export function isSettled(settled: string, ledger: string, ahead: bigint): boolean {
  const difference = BigInt(settled) - BigInt(ledger);
  return difference >= 0n && difference <= ahead;
}

/**
 * Every period of every budget, also the one that runs if nobody has opened it. Usage made elsewhere took no route. A
 * limit counts for the period that runs: those before keep theirs.
 */
const BUDGETS = `
  WITH ${COUNTED}, spending AS (
    SELECT at, cost, user_id, api_key_id, route_id, provider_id FROM counted_attempts WHERE cost <> 0
    UNION ALL SELECT at, cost, user_id, api_key_id, route_id, provider_id FROM counted_events WHERE cost <> 0
  ), of_subjects AS (
    SELECT scope, subject_id, at, cost FROM spending CROSS JOIN LATERAL (VALUES
      ('EVERYTHING', ''), ('USER', user_id::text), ('API_KEY', api_key_id::text), ('ROUTE', route_id::text),
      ('PROVIDER', provider_id::text)) AS subjects (scope, subject_id)
  ), running AS (
    SELECT b.*, p.starts, p.ends FROM budgets b
      JOIN json_to_recordset($2) AS p (period "BudgetPeriod", starts timestamptz, ends timestamptz) USING (period)
  ), periods AS (
    SELECT a.id, b.id AS budget, b.scope::text, b.subject_id, a.starts_at AS starts, a.ends_at AS ends, a.settled, a."limit",
      CASE WHEN a.starts_at = b.starts THEN b."limit" END AS budget_limit
    FROM allowances a JOIN running b ON b.id = a.budget_id
    UNION ALL
    SELECT NULL, id, scope::text, subject_id, starts, ends, 0, "limit", NULL FROM running
    WHERE NOT EXISTS (SELECT FROM allowances a WHERE a.budget_id = running.id AND a.starts_at = running.starts)
  )
  SELECT p.budget, p.scope, p.starts, p.settled::text, p."limit"::text, p.budget_limit::text AS "budgetLimit",
    (coalesce(sum(s.cost), 0) + coalesce((SELECT sum(amount) FROM write_offs w WHERE w.allowance_id = p.id), 0))::text AS ledger
  FROM periods p LEFT JOIN of_subjects s ON s.scope = p.scope AND s.subject_id = p.subject_id AND s.at >= p.starts
    AND (p.ends IS NULL OR s.at < p.ends)
  GROUP BY p.id, p.budget, p.scope, p.starts, p.settled, p."limit", p.budget_limit ORDER BY p.budget, p.starts`;
