import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../platform/database/embedded.ts';
import { migrate } from '../platform/database/migrate.ts';
import { PRISMA_FOLDER } from '../platform/database/migration-files.ts';
import { diffToSchema } from '../platform/database/schema-engine.ts';
import { createLog } from '../platform/log.ts';

/** Writes the next migration: what leads from prisma/migrations to prisma/schema.prisma. Asks for a name in words. */
async function main(words: readonly string[]): Promise<number> {
  const name = words.join('_').toLowerCase();
  if (!/^[a-z0-9_]+$/.test(name)) {
    console.error('Usage: npm run migrate:new -- <name>, in letters, digits and _, such as add_budgets');
    return 2;
  }
  const sql = await missingSql();
  if (sql === '') {
    console.log('prisma/migrations already lead to prisma/schema.prisma.');
    return 0;
  }
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const file = join(PRISMA_FOLDER, 'migrations', `${timestamp}_${name}`, 'migration.sql');
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(join(PRISMA_FOLDER, 'migrations/migration_lock.toml'), 'provider = "postgresql"\n');
  await writeFile(file, `${sql}\n`);
  console.log(`${file}\nRead it, and change it where it would lock or lose the rows of a live table.`);
  return 0;
}

/** Compared on a Postgres of its own, so that no real database is touched. */
async function missingSql(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'signalbox-migrate-'));
  // Passable, for the user that Postgres runs as when this one is root.
  await chmod(dataDir, 0o711);
  const log = createLog({ logLevel: 'warn' });
  try {
    const postgres = await startEmbeddedPostgres({ dataDir, log });
    try {
      await migrate(postgres.connection, log);
      return await diffToSchema(postgres.connection, await readFile(join(PRISMA_FOLDER, 'schema.prisma'), 'utf8'));
    } finally {
      await postgres.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
