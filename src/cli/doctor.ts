import pg from 'pg';
import { type Finding, reconcile } from '../control/reconciliation/reconciliation.ts';
import { createLog } from '../platform/log.ts';
import { readSettings } from '../platform/settings.ts';
import { StartError } from '../platform/start-error.ts';
import type { Command } from './command.ts';
import { openDatabase } from './open-database.ts';

export const command: Command = {
  summary: 'Compares every sum with the ledger.',
  help: `Compares every sum that Signalbox keeps with the rows of the ledger: costs with usage
and prices, completions with their attempts, metrics, budgets and credits with all of
them, what is set aside with what servers hold. A line for each says the numbers of
both sides, and OK or WRONG.

It changes nothing, and may run while servers do. Exit code 1: something is wrong.`,
  run: examine,
};

async function examine(): Promise<number> {
  const settings = readSettings(process.env);
  await using database = await openDatabase(settings, createLog({ logLevel: 'warn' }));
  await assertMigrated(database.connection);
  if (await reconcile(database.connection, settings.timeZone, (finding) => console.log(describe(finding)))) {
    console.log('\nEverything agrees with the ledger.');
    return 0;
  }
  console.log(
    '\nSomething does not agree. The rows of completions, attempts, usage events and corrections are what happened; sums ' +
      'are made from them. Keep a copy of the database as it is, look for who changed it by hand, and restore what ' +
      'was changed from a backup; nothing in Signalbox changes a row of the ledger.',
  );
  return 1;
}

function describe({ name, sides, wrong }: Finding): string {
  const verdict = wrong.length === 0 ? 'OK    ' : 'WRONG ';
  return [`${verdict} ${name}: ${sides}`, ...wrong.map((what) => `         ${what}`)].join('\n');
}

async function assertMigrated(connection: pg.ClientConfig): Promise<void> {
  const client = new pg.Client(connection);
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ table: string | null }>("SELECT to_regclass('allowances') AS table");
    if (!rows[0]?.table) throw new StartError('The database is older than this version; start a server on it first.');
  } finally {
    await client.end();
  }
}
