import type { Pool, PoolClient } from 'pg';
import { inTransaction } from '../../platform/database/transaction.ts';
import { uuidv7 } from '../../platform/ids.ts';

/** The channel on which a recall tells the ids of its allowance and its holder, and a change of budgets `rules`. */
export const LEASES_CHANNEL = 'signalbox_leases';
/** What stands in place of an allowance's id when budgets have changed. */
export const RULES_CHANGED = 'rules';

/** A holder that has not renewed itself for so long is not waited for; its leases stay its own. */
const SILENT = "interval '10 seconds'";
/** A holder that is silent for so long is taken for lost, and what it leased for spent. */
const LOST = "interval '20 minutes'";

/** How an allowance stands, in picodollars. */
export interface Standing {
  limit: bigint;
  settled: bigint;
  leased: bigint;
}

/** What came of asking for money. */
export interface Granted extends Standing {
  /** Leased now in addition; it is in `leased`. */
  amount: bigint;
  /** Others that were asked to give back what is idle, and have not answered. */
  waiting: number;
}

/**
 * Leases as much of an allowance as there is, up to what is wanted, and a slice beyond it for what comes next: at most a
 * 400th of the limit and a 16th of what is left, so that little lies idle when it runs short.
 * @returns null: there is no such allowance
 */
export async function grant(
  pool: Pool,
  { allowanceId, holderId, serverId }: LeaseName & { serverId: string },
  wanted: bigint,
  slice: bigint,
): Promise<Granted | null> {
  const values = [allowanceId, holderId, wanted.toString(), slice.toString(), serverId];
  const { rows } = await pool.query<Record<'limit' | 'settled' | 'leased' | 'amount' | 'waiting', string>>(
    GRANT,
    values,
  );
  const row = rows[0];
  if (!row) return null;
  const amount = BigInt(row.amount);
  return {
    limit: BigInt(row.limit),
    settled: BigInt(row.settled),
    leased: BigInt(row.leased) + amount,
    amount,
    waiting: Number(row.waiting),
  };
}

/** Whose lease, and of what. */
export interface LeaseName {
  allowanceId: string;
  holderId: string;
}

/** Gives back what is idle of a lease, and answers whoever has recalled it. */
export async function giveBack(pool: Pool, { allowanceId, holderId }: LeaseName, amount: bigint): Promise<void> {
  await pool.query(GIVE_BACK, [allowanceId, holderId, amount.toString()]);
}

/**
 * Asks the other holders to give back what is idle of their leases.
 * @returns how many were asked
 */
export async function recall(pool: Pool, { allowanceId, holderId }: LeaseName): Promise<number> {
  const { rows } = await pool.query<{ asked: number }>(RECALL, [allowanceId, holderId, LEASES_CHANNEL]);
  return rows[0]?.asked ?? 0;
}

/** What a holder learns when it renews itself. */
export interface Renewal {
  /** Those of its ids that are still known. */
  alive: string[];
  /** There are holders of its server that it did not name. */
  others: boolean;
  /** Allowances of which somebody needs what is idle. */
  recalled: string[];
  budgetsVersion: bigint;
}

/** Tells that the holders of a server still run. */
export async function renew(pool: Pool, serverId: string, holderIds: readonly string[]): Promise<Renewal> {
  const { rows } = await pool.query<{ alive: string[]; others: boolean; recalled: string[]; version: string }>(RENEW, [
    holderIds,
    serverId,
  ]);
  const { alive = [], others = false, recalled = [], version = '0' } = rows[0] ?? {};
  return { alive, others, recalled, budgetsVersion: BigInt(version) };
}

/** The holders of a server other than those, and those whose leases were written off. */
export async function formerHolders(pool: Pool, serverId: string, current: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `SELECT id FROM lease_holders WHERE server_id = $1 AND id <> ALL($2::uuid[])
     UNION SELECT holder_id FROM write_offs WHERE server_id = $1 AND holder_id <> ALL($2::uuid[])
       GROUP BY holder_id, allowance_id HAVING sum(amount) <> 0`,
    [serverId, current],
  );
  return rows.map(({ id }) => id);
}

/**
 * Frees what holders leased and did not spend, and takes back what was written off of them. Everything that they spent
 * is on the ledger: their journal has been drained, and they spend no more.
 */
export async function releaseHolders(pool: Pool, holderIds: readonly string[]): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query('SELECT FROM ledger_head WHERE id = 1 FOR UPDATE');
    await client.query(LOCK_ALLOWANCES_OF, [holderIds]);
    await client.query(RELEASE, [holderIds]);
    const { rows } = await client.query<WrittenOff>(
      `SELECT allowance_id AS "allowanceId", holder_id AS "holderId", server_id AS "serverId", sum(amount)::text AS amount
       FROM write_offs WHERE holder_id = ANY($1::uuid[])
       GROUP BY allowance_id, holder_id, server_id HAVING sum(amount) <> 0`,
      [holderIds],
    );
    await writeOff(
      client,
      rows.map((row) => ({ ...row, amount: (-BigInt(row.amount)).toString() })),
    );
  });
}

/** A lease that is taken for spent; picodollars as text, negative where that is taken back. */
export interface WrittenOff extends LeaseName {
  serverId: string;
  amount: string;
}

/**
 * Takes for spent what holders leased that have been silent for 20 minutes. Nothing that they may have sent is ever
 * counted as free; should their journal come after all, `releaseHolders` takes it back.
 */
export async function writeOffLost(pool: Pool): Promise<WrittenOff[]> {
  return inTransaction(pool, async (client) => {
    await client.query('SELECT FROM ledger_head WHERE id = 1 FOR UPDATE');
    const { rows: lost } = await client.query<{ id: string }>(
      `SELECT id FROM lease_holders WHERE renewed_at < clock_timestamp() - ${LOST} FOR UPDATE`,
    );
    if (lost.length === 0) return [];
    const ids = lost.map(({ id }) => id);
    await client.query(LOCK_ALLOWANCES_OF, [ids]);
    const { rows } = await client.query<WrittenOff>(
      `SELECT allowance_id AS "allowanceId", holder_id AS "holderId", server_id AS "serverId", amount::text AS amount
       FROM leases JOIN lease_holders h ON h.id = holder_id WHERE holder_id = ANY($1::uuid[]) AND amount > 0`,
      [ids],
    );
    await client.query(RELEASE, [ids]);
    await writeOff(client, rows);
    return rows;
  });
}

async function writeOff(client: PoolClient, rows: readonly WrittenOff[]): Promise<void> {
  if (rows.length === 0) return;
  const entries = rows.map(({ allowanceId, holderId, serverId, amount }) => ({
    ...{ id: uuidv7(), allowance_id: allowanceId, holder_id: holderId, server_id: serverId, amount },
  }));
  await client.query(WRITE_OFF, [JSON.stringify(entries)]);
}

/** The holder is made by its first lease. Rows are locked in one order: the allowance, then leases. */
const GRANT = `
  WITH allowance AS (
    SELECT id, "limit", settled, leased, "limit" - settled - leased AS free FROM allowances WHERE id = $1 FOR UPDATE
  ), granted AS (
    SELECT id, least(free, $3::numeric + trunc(least($4::numeric, greatest(free - $3::numeric, 0) / 16, "limit" / 400)))
      AS amount
    FROM allowance WHERE free > 0
  ), holder AS (
    INSERT INTO lease_holders (id, server_id) SELECT $2, $5 FROM granted ON CONFLICT (id) DO NOTHING
  ), leased AS (
    UPDATE allowances SET leased = allowances.leased + granted.amount FROM granted WHERE allowances.id = granted.id
    RETURNING allowances.id
  ), lease AS (
    INSERT INTO leases (allowance_id, holder_id, amount)
    SELECT granted.id, $2, granted.amount FROM granted JOIN leased USING (id)
    ON CONFLICT (allowance_id, holder_id) DO UPDATE SET amount = leases.amount + excluded.amount
  )
  SELECT "limit"::text, settled::text, leased::text, coalesce((SELECT amount FROM granted), 0)::text AS amount,
    (SELECT count(*) FROM leases JOIN lease_holders h ON h.id = holder_id
     WHERE allowance_id = $1 AND holder_id <> $2 AND recalled_at IS NOT NULL
       AND h.renewed_at > clock_timestamp() - ${SILENT})::text AS waiting
  FROM allowance`;

const GIVE_BACK = `
  WITH allowance AS (SELECT id FROM allowances WHERE id = $1 FOR UPDATE), lease AS (
    UPDATE leases SET amount = greatest(leases.amount - $3::numeric, 0), recalled_at = NULL
    FROM allowance WHERE leases.allowance_id = allowance.id AND leases.holder_id = $2
    RETURNING leases.allowance_id
  )
  UPDATE allowances SET leased = greatest(allowances.leased - $3::numeric, 0)
  FROM lease WHERE allowances.id = lease.allowance_id`;

const RECALL = `
  WITH allowance AS (SELECT id FROM allowances WHERE id = $1 FOR UPDATE), recalled AS (
    UPDATE leases SET recalled_at = clock_timestamp() FROM allowance, lease_holders h
    WHERE leases.allowance_id = allowance.id AND leases.holder_id <> $2 AND leases.amount > 0
      AND h.id = leases.holder_id AND h.renewed_at > clock_timestamp() - ${SILENT}
    RETURNING 1
  )
  SELECT count(*)::int AS asked, CASE WHEN count(*) > 0 THEN pg_notify($3, $1::text || ' ' || $2::text) END FROM recalled`;

const RENEW = `
  WITH renewed AS (
    UPDATE lease_holders SET renewed_at = clock_timestamp() WHERE id = ANY($1::uuid[]) RETURNING id
  )
  SELECT ARRAY(SELECT id FROM renewed) AS alive,
    EXISTS (SELECT FROM lease_holders WHERE server_id = $2 AND id <> ALL($1::uuid[])) AS others,
    ARRAY(SELECT allowance_id FROM leases WHERE holder_id = ANY($1::uuid[]) AND recalled_at IS NOT NULL) AS recalled,
    (SELECT budgets_version::text FROM ledger_head WHERE id = 1) AS version`;

const LOCK_ALLOWANCES_OF = `
  SELECT FROM allowances
  WHERE id IN (SELECT allowance_id FROM leases WHERE holder_id = ANY($1::uuid[])
    UNION SELECT allowance_id FROM write_offs WHERE holder_id = ANY($1::uuid[]))
  ORDER BY id FOR UPDATE`;

const RELEASE = `
  WITH freed AS (
    DELETE FROM leases WHERE holder_id = ANY($1::uuid[]) RETURNING allowance_id, amount
  ), sums AS (SELECT allowance_id, sum(amount) AS amount FROM freed GROUP BY allowance_id), gone AS (
    DELETE FROM lease_holders WHERE id = ANY($1::uuid[])
  )
  UPDATE allowances SET leased = greatest(leased - sums.amount, 0) FROM sums WHERE allowances.id = sums.allowance_id`;

const WRITE_OFF = `
  WITH entries AS (
    INSERT INTO write_offs (id, allowance_id, holder_id, server_id, amount)
    SELECT id, allowance_id, holder_id, server_id, amount FROM json_to_recordset($1)
      AS entry (id uuid, allowance_id uuid, holder_id uuid, server_id text, amount numeric)
    RETURNING allowance_id, amount
  ), sums AS (SELECT allowance_id, sum(amount) AS amount FROM entries GROUP BY allowance_id)
  UPDATE allowances SET settled = settled + sums.amount FROM sums WHERE allowances.id = sums.allowance_id`;
