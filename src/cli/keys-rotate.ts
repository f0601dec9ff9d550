import pg from 'pg';
import { countByMasterKey, rotateKeys } from '../control/providers/rotate-keys.ts';
import { type MasterKeys, SecretBox } from '../platform/crypto.ts';
import { addMasterKeyIn, readSecrets } from '../platform/data-dir.ts';
import { createLog } from '../platform/log.ts';
import { readSettings, type Settings } from '../platform/settings.ts';
import { StartError } from '../platform/start-error.ts';
import type { Command } from './command.ts';
import { openDatabase } from './open-database.ts';

/** Any number that no other advisory lock of Signalbox uses. */
const ROTATION_LOCK = 7_302_441_903;
/** A rotation that was killed holds the lock until Postgres notices. */
const LOCK_TIMEOUT_MS = 60_000;

export const command: Command = {
  summary: 'Seals all stored provider keys with a new master key.',
  help: `Seals all stored provider keys, those of users included, with the newest master key.
It may run while servers do, and may be killed at any moment: run again, it goes on.

With the embedded Postgres it makes a new master key in DATA_DIR, unless an earlier
run has not finished. The old ones stay there: backups from before need them.

With DATABASE_URL, first give every server the new master key behind the old one, as
ENCRYPTION_KEY=1:<old>,2:<new>, and restart it; then run this with the same settings.
Afterwards the old one may go, once no backup needs it.`,
  run: rotate,
};

async function rotate(): Promise<number> {
  const settings = readSettings(process.env);
  const log = createLog({ logLevel: 'warn' });
  await using database = await openDatabase(settings, log);
  const client = new pg.Client({ ...database.connection, application_name: 'signalbox keys rotate' });
  // A connection that breaks fails the next statement.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await assertMigrated(client);
    await takeLock(client);
    return await rotateWith(client, settings);
  } finally {
    await client.end();
  }
}

async function rotateWith(client: pg.Client, settings: Settings): Promise<number> {
  const masterKeys = await masterKeysFor(client, settings);
  const box = new SecretBox(masterKeys);
  const stale = staleIn(await countByMasterKey(client), box.current);
  if (stale === 0 && settings.encryptionKeys) {
    console.log(`All stored keys are sealed with master key ${box.current}, the highest in ENCRYPTION_KEY.`);
    return 0;
  }
  console.log(`Sealing ${stale} stored keys with master key ${box.current} …`);
  const unreadable = await rotateKeys(client, box, (sealed) => showProgress(sealed, stale));
  const inUse = [...(await countByMasterKey(client)).keys()];
  console.log(describe(box.current, [...masterKeys.keys()], inUse));
  if (unreadable.length === 0) return 0;
  console.error(
    `${unreadable.length} cannot be opened and stay as they are; set them anew or delete them: ${unreadable.join(', ')}`,
  );
  return 1;
}

/** Those of ENCRYPTION_KEY; or those in DATA_DIR, with a new one unless the newest is still to be used everywhere. */
async function masterKeysFor(client: pg.Client, { encryptionKeys, dataDir }: Settings): Promise<MasterKeys> {
  if (encryptionKeys) return encryptionKeys;
  const there = (await readSecrets(dataDir)).encryptionKeys;
  const newest = Math.max(...there.keys());
  if (staleIn(await countByMasterKey(client), newest) > 0 && there.size > 1) return there;
  const keys = await addMasterKeyIn(dataDir);
  console.log(`Master key ${newest + 1} was made in ${dataDir}.`);
  return keys;
}

/** How many keys another master key than the newest seals. */
function staleIn(counts: ReadonlyMap<number, number>, newest: number): number {
  return [...counts].reduce((sum, [version, count]) => (version === newest ? sum : sum + count), 0);
}

function describe(current: number, known: readonly number[], inUse: readonly number[]): string {
  const others = inUse.filter((version) => version !== current);
  if (others.length > 0) return `Master keys in use: ${inUse.join(', ')}. Run this again to finish.`;
  const idle = known.filter((version) => version !== current);
  const kept = idle.length > 0 ? ` No longer in use, but needed for older backups: ${idle.join(', ')}.` : '';
  return `Every stored key is sealed with master key ${current}.${kept}`;
}

function showProgress(sealed: number, of: number): void {
  if (process.stdout.isTTY) process.stdout.write(`\r${sealed} of ${of}${sealed >= of ? '\n' : ''}`);
}

async function assertMigrated(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ table: string | null }>("SELECT to_regclass('user_provider_keys') AS table");
  if (!rows[0]?.table) throw new StartError('The database is older than this version; start a server on it first.');
}

async function takeLock(client: pg.Client): Promise<void> {
  try {
    await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await client.query('SELECT pg_advisory_lock($1)', [ROTATION_LOCK]);
    await client.query('RESET lock_timeout');
  } catch (error) {
    if ((error as pg.DatabaseError).code !== '55P03') throw error;
    throw new StartError('Another rotation is running; wait for its end.');
  }
}
