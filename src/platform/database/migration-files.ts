import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One folder of prisma/migrations. */
export interface Migration {
  /** The folder's name: <timestamp>_<words>. */
  name: string;
  sql: string;
  /** SHA-256 (hex) of the file, as `_prisma_migrations` records it. */
  checksum: string;
}

/** prisma/, beside dist/ and src/. */
export const PRISMA_FOLDER = fileURLToPath(new URL('../../../prisma/', import.meta.url));

/** All migrations that ship with this version, oldest first. */
export async function readMigrations(): Promise<Migration[]> {
  const folder = join(PRISMA_FOLDER, 'migrations');
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** Says which database the migrations are for. */
export async function readMigrationLock(): Promise<string> {
  return readFile(join(PRISMA_FOLDER, 'migrations/migration_lock.toml'), 'utf8');
}
