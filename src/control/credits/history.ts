import type { Pool } from 'pg';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { PageSource } from '../schema/connections.ts';

export type CreditEntryKind = 'GRANT' | 'COMPLETION' | 'WRITE_OFF';

/** One thing that changed a user's balance. */
export interface CreditEntry {
  /** A UUIDv7, by which entries are in the order of their times. */
  id: string;
  kind: CreditEntryKind;
  /** Picodollars: more than 0 was granted, less was spent or taken back. */
  amount: Picodollars;
  at: Date;
  note: string | null;
  grantedBy: string | null;
  requestId: string | null;
  model: string | null;
}

type EntryRow = Omit<CreditEntry, 'amount'> & { amount: string };

/**
 * What changed a user's balance, newest first: the amounts sum up to it, once what has ended is on the ledger. One
 * statement a page.
 * @param userId null: nobody's
 */
export function creditEntries(pool: Pool, userId: string | null): PageSource<CreditEntry> {
  if (userId === null) return { rows: async () => [], count: async () => 0 };
  return {
    rows: async (after, limit) => {
      const { rows } = await pool.query<EntryRow>(PAGE, [userId, after ?? LAST_ID, limit]);
      return rows.map((row) => ({ ...row, amount: picodollars(BigInt(row.amount)) }));
    },
    count: async () => {
      const { rows } = await pool.query<{ count: number }>(COUNT, [userId]);
      return rows[0]?.count ?? 0;
    },
  };
}

/** Behind every id. */
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

const GRANTS = 'credit_grants g WHERE g.user_id = $1';

/**
 * Completions that were admitted after the first grant, with what their calls with keys of the system cost, corrections
 * included.
 */
const COMPLETIONS = `
  allowances credits
  JOIN completions c ON c.user_id = credits.user_id AND c.started_at >= credits.starts_at
  CROSS JOIN LATERAL (
    SELECT sum(coalesce(a.cost, 0) + coalesce(
      (SELECT sum(difference) FROM corrections WHERE corrections.attempt_id = a.id), 0)) AS amount
    FROM attempts a WHERE a.completion_id = c.id AND NOT a.used_own_key
  ) AS cost
  WHERE credits.user_id = $1 AND c.user_id = $1 AND cost.amount <> 0`;

const WRITE_OFFS = `
  allowances credits JOIN write_offs w ON w.allowance_id = credits.id WHERE credits.user_id = $1`;

const PAGE = `
  SELECT id, kind, amount::text, at, note, granted_by AS "grantedBy", request_id AS "requestId", model FROM (
    (SELECT g.id, 'GRANT' AS kind, g.amount, g.created_at AS at, g.note, g.granted_by, NULL::uuid AS request_id,
       NULL AS model
     FROM ${GRANTS} AND g.id < $2 ORDER BY g.id DESC LIMIT $3)
    UNION ALL
    (SELECT c.id, 'COMPLETION', -cost.amount, c.started_at, NULL, NULL, c.id, c.model
     FROM ${COMPLETIONS} AND c.id < $2 ORDER BY c.id DESC LIMIT $3)
    UNION ALL
    (SELECT w.id, 'WRITE_OFF', -w.amount, w.created_at, NULL, NULL, NULL, NULL
     FROM ${WRITE_OFFS} AND w.id < $2 ORDER BY w.id DESC LIMIT $3)
  ) AS entries ORDER BY id DESC LIMIT $3`;

const COUNT = `
  SELECT ((SELECT count(*) FROM ${GRANTS}) + (SELECT count(*) FROM ${COMPLETIONS})
    + (SELECT count(*) FROM ${WRITE_OFFS}))::int AS count`;
