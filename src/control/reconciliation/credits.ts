import { toUsd } from '../../platform/money.ts';
import { costAhead, isSettled } from './budgets.ts';
import { type Check, sinceOf, tell } from './check.ts';
import { COUNTED } from './counted.ts';

interface Row {
  user: string;
  starts: Date;
  limit: string;
  granted: string;
  settled: string;
  ledger: string;
}

/** Credits are what was granted, and their spending is what their user's attempts cost since, but for own keys. */
export const checkCredits: Check = async (books) => {
  const rows = await books.query<Row>(CREDITS, [sinceOf(books)]);
  const ahead = await costAhead(books);
  const whole = rows.filter(({ starts }) => books.since === null || starts >= books.since);
  const sum = (of: readonly Row[], name: 'limit' | 'granted' | 'settled' | 'ledger') =>
    `$${toUsd(of.reduce((total, row) => total + BigInt(row[name]), 0n))}`;
  const skipped = rows.length - whole.length;
  const note = skipped > 0 ? `; ${skipped} reach further back than the rows that are kept` : '';
  return [
    {
      name: 'credits and their grants',
      sides: `${rows.length} users with ${sum(rows, 'limit')}, granted ${sum(rows, 'granted')}`,
      wrong: tell(
        rows.filter(({ limit, granted }) => limit !== granted),
        ({ user, limit, granted }) =>
          `user ${user} has credits of $${toUsd(BigInt(limit))}, but was granted $${toUsd(BigInt(granted))}`,
      ),
    },
    {
      name: 'spending of credits',
      sides: `${whole.length} users with ${sum(whole, 'settled')}, ledger ${sum(whole, 'ledger')}${note}`,
      wrong: tell(
        whole.filter(({ settled, ledger }) => !isSettled(settled, ledger, ahead)),
        ({ user, settled, ledger }) =>
          `user ${user} has spent credits of $${toUsd(BigInt(settled))}, but the ledger says $${toUsd(BigInt(ledger))}`,
      ),
    },
  ];
};

const CREDITS = `
  WITH ${COUNTED}
  SELECT a.user_id AS "user", a.starts_at AS starts, a."limit"::text, a.settled::text,
    coalesce((SELECT sum(amount) FROM credit_grants g WHERE g.user_id = a.user_id), 0)::text AS granted,
    (coalesce(sum(s.cost), 0) + coalesce((SELECT sum(amount) FROM write_offs w WHERE w.allowance_id = a.id), 0))::text AS ledger
  FROM allowances a LEFT JOIN counted_attempts s ON s.user_id = a.user_id AND s.at >= a.starts_at AND NOT s.used_own_key
  WHERE a.kind = 'CREDITS' GROUP BY a.id ORDER BY a.user_id`;
