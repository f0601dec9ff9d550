import { toUsd } from '../../platform/money.ts';
import { type Check, tell } from './check.ts';

/** A server renews what it has leased while it runs, and others write off what it cannot any more; both take minutes. */
const FORSAKEN_MINUTES = 60;

/** What is set aside of budgets and credits is what servers that run have leased. */
export const checkLeases: Check = async ({ query }) => {
  const rows = await query<{ id: string; leased: string; leases: string }>(LEASES);
  const forsaken = await query<{ server: string; amount: string; renewedAt: Date }>(FORSAKEN, [FORSAKEN_MINUTES]);
  const sum = (name: 'leased' | 'leases') => `$${toUsd(rows.reduce((total, row) => total + BigInt(row[name]), 0n))}`;
  return [
    {
      name: 'what is set aside of budgets and credits',
      sides: `${sum('leased')}, leased by servers ${sum('leases')}`,
      wrong: [
        ...tell(
          rows.filter(({ leased, leases }) => leased !== leases),
          ({ id, leased, leases }) =>
            `allowance ${id} has $${toUsd(BigInt(leased))} set aside, but its leases are $${toUsd(BigInt(leases))}`,
        ),
        ...tell(
          forsaken,
          ({ server, amount, renewedAt }) =>
            `server ${server} has not been there since ${renewedAt.toISOString()}, and still holds $${toUsd(BigInt(amount))}`,
        ),
      ],
    },
  ];
};

const LEASES = `
  SELECT a.id, a.leased::text, coalesce(sum(l.amount), 0)::text AS leases
  FROM allowances a LEFT JOIN leases l ON l.allowance_id = a.id
  GROUP BY a.id HAVING a.leased <> 0 OR sum(l.amount) <> 0 ORDER BY a.id`;

const FORSAKEN = `
  SELECT h.server_id AS server, h.renewed_at AS "renewedAt", sum(l.amount)::text AS amount
  FROM lease_holders h JOIN leases l ON l.holder_id = h.id
  WHERE h.renewed_at < now() - make_interval(mins => $1)
  GROUP BY h.id HAVING sum(l.amount) > 0 ORDER BY h.renewed_at`;
