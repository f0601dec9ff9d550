import type { Pool } from 'pg';
import { uuidv7 } from '../../../src/platform/ids.ts';

/** What a test says about a completion; the rest is as usual. Names are those of the table's columns. */
export type LedgerRow = Record<string, unknown>;

/**
 * Commits completions, each with one attempt, like the drain of a server does: in one transaction that holds the
 * ledger's head. Returns the `seq` of the last one.
 */
export async function commitRows(pool: Pool, rows: readonly LedgerRow[]): Promise<bigint> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const head = await client.query<{ seq: string }>(
      'UPDATE ledger_head SET seq = seq + $1 WHERE id = 1 RETURNING seq::text',
      [rows.length],
    );
    const last = BigInt(head.rows[0]?.seq ?? 0);
    const first = last - BigInt(rows.length) + 1n;
    const completions = rows.map((row, index) => ({ ...usual(), seq: `${first + BigInt(index)}`, ...row }));
    const attempts = completions.map(({ id, started_at, finished_at }) => ({
      ...{ id: uuidv7(), completion_id: id, number: 1, started_at, finished_at, status: 'SUCCEEDED' },
      ...{
        provider_id: uuidv7(),
        provider_slug: 'sandbox',
        model: 'sandbox-small',
        is_estimated: false,
        used_own_key: false,
      },
      latency_ms: 1,
    }));
    for (const [table, members] of Object.entries({ completions, attempts })) {
      const sql = `INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`;
      await client.query(sql, [JSON.stringify(members)]);
    }
    await client.query("SELECT pg_notify('signalbox_ledger', $1)", [last.toString()]);
    await client.query('COMMIT');
    return last;
  } finally {
    client.release();
  }
}

/** As many rows that are alike. */
export function alike(count: number, row: LedgerRow = {}): LedgerRow[] {
  return Array.from({ length: count }, () => row);
}

function usual() {
  const now = new Date();
  return {
    ...{ id: uuidv7(), server_id: 'test', started_at: now, finished_at: now, status: 'SUCCEEDED', door: 'OPENAI' },
    operation: 'CHAT',
    ...{ is_streamed: false, is_estimated: false, latency_ms: 1, attempt_count: 1, config_version: 1, tags: {} },
    warnings: [],
    is_cached: false,
  };
}
