import type pg from 'pg';
import { CONFIGURATION_CHANNEL } from '../../gateway/snapshot/keeper.ts';
import { ownKeyContext, systemKeyContext } from '../../gateway/snapshot/seal-context.ts';
import type { SecretBox } from '../../platform/crypto.ts';

/** Few enough that a statement takes milliseconds. */
const ROWS_AT_ONCE = 20;
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';

interface SealedRow {
  id: string;
  provider_id: string;
  /** Of a user's own key alone. */
  user_id: string;
  ciphertext: Buffer;
  master_key_version: number;
}

interface SealedTable {
  name: string;
  columns: string;
  open(row: SealedRow, box: SecretBox): string;
  contextOf(row: SealedRow): string;
}

const systemContext = ({ id, provider_id }: SealedRow) => systemKeyContext({ id, providerId: provider_id });
const ownContext = ({ id, provider_id, user_id }: SealedRow) =>
  ownKeyContext({ id, providerId: provider_id, userId: user_id });

/** Every table with sealed keys. */
const TABLES: readonly SealedTable[] = [
  {
    name: 'provider_keys',
    columns: 'id, provider_id, ciphertext, master_key_version',
    open: (row, box) => box.open(toSealed(row), systemContext(row), row.id),
    contextOf: systemContext,
  },
  {
    name: 'user_provider_keys',
    columns: 'id, provider_id, user_id, ciphertext, master_key_version',
    open: (row, box) => box.open(toSealed(row), ownContext(row)),
    contextOf: ownContext,
  },
];

/** How many stored keys each master key seals, by its version. */
export async function countByMasterKey(client: pg.ClientBase): Promise<Map<number, number>> {
  const all = TABLES.map(({ name }) => `SELECT master_key_version AS version FROM ${name}`).join(' UNION ALL ');
  const { rows } = await client.query<{ version: number; count: number }>(
    `SELECT version, count(*)::int AS count FROM (${all}) AS sealed GROUP BY version ORDER BY version`,
  );
  return new Map(rows.map(({ version, count }) => [version, count]));
}

/**
 * Seals every stored key with the newest master key, a few at a time: each statement commits by itself, so this may be
 * killed anywhere and run again. A key that somebody changes meanwhile is theirs: it is looked at again.
 * @param onProgress told how many were sealed so far
 * @returns the ids of those that cannot be opened, which stay as they are
 */
export async function rotateKeys(
  client: pg.ClientBase,
  box: SecretBox,
  onProgress: (sealed: number) => void,
): Promise<string[]> {
  for (let sealed = 0; ; ) {
    const before = sealed;
    const unreadable: string[] = [];
    for (const table of TABLES) {
      for await (const batch of batchesOf(client, table, box.current)) {
        const resealed = batch.flatMap((row) => reseal(row, table, box, unreadable));
        sealed += await replace(client, table, box.current, resealed);
        onProgress(sealed);
      }
    }
    if (sealed === before) return unreadable;
    // Servers that meet a new version read the master keys again, and seal with it from then on.
    await client.query('SELECT pg_notify($1, $2)', [CONFIGURATION_CHANNEL, '']);
  }
}

async function* batchesOf(client: pg.ClientBase, { name, columns }: SealedTable, current: number) {
  for (let after = BEFORE_ALL; ; ) {
    const { rows } = await client.query<SealedRow>(
      `SELECT ${columns} FROM ${name} WHERE master_key_version <> $1 AND id > $2 ORDER BY id LIMIT ${ROWS_AT_ONCE}`,
      [current, after],
    );
    const last = rows.at(-1);
    if (!last) return;
    yield rows;
    after = last.id;
  }
}

interface Resealed {
  id: string;
  before: Buffer;
  after: Buffer;
}

function reseal(row: SealedRow, table: SealedTable, box: SecretBox, unreadable: string[]): Resealed[] {
  let secret: string;
  try {
    secret = table.open(row, box);
  } catch {
    unreadable.push(row.id);
    return [];
  }
  const { ciphertext } = box.seal(secret, table.contextOf(row));
  return [{ id: row.id, before: row.ciphertext, after: Buffer.from(ciphertext) }];
}

/** Returns how many were still what they were. */
async function replace(client: pg.ClientBase, { name }: SealedTable, version: number, rows: readonly Resealed[]) {
  const { rowCount } = await client.query(
    `UPDATE ${name} AS sealed SET ciphertext = new.after, master_key_version = $1
       FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS new (id, before, after)
      WHERE sealed.id = new.id AND sealed.ciphertext = new.before`,
    [version, rows.map(({ id }) => id), rows.map(({ before }) => before), rows.map(({ after }) => after)],
  );
  return rowCount ?? 0;
}

function toSealed({ ciphertext, master_key_version }: SealedRow) {
  return { ciphertext, masterKeyVersion: master_key_version };
}
