import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import type { DatabaseConnection } from '../../src/platform/database/connection.ts';
import { startEmbeddedPostgres } from '../../src/platform/database/embedded.ts';
import { migrate } from '../../src/platform/database/migrate.ts';
import { createLog } from '../../src/platform/log.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The Postgres of this run, connected to its maintenance database. */
    postgres: DatabaseConnection;
    /** A migrated database to copy. */
    templateDatabase: string;
  }
}

const TEMPLATE = 'signalbox_template';

/** One Postgres for the whole run, with a migrated template that each test file copies. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  buildForWorkers();
  const removeFolder = useFolderOfThisRun();
  const dataDir = join(tmpdir(), 'data');
  await mkdir(dataDir);
  await Promise.all([chmod(tmpdir(), 0o711), chmod(dataDir, 0o711)]);
  const log = createLog({ logLevel: 'warn' });
  const postgres = await startEmbeddedPostgres({ dataDir, log });

  const maintenance = { ...postgres.connection, database: 'postgres' };
  const client = new pg.Client(maintenance);
  await client.connect();
  await client.query(`CREATE DATABASE ${TEMPLATE}`);
  await client.end();
  await migrate({ ...postgres.connection, database: TEMPLATE }, log);
  project.provide('postgres', maintenance);
  project.provide('templateDatabase', TEMPLATE);

  return async () => {
    await postgres.stop();
    removeFolder();
  };
}

/** Tests import the source, but worker threads can only load what is built. Types are checked elsewhere. */
function buildForWorkers(): void {
  const setup = fileURLToPath(new URL('../../src/cli/setup.mjs', import.meta.url));
  try {
    execFileSync(process.execPath, [setup], { stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    console.warn(`dist/ may be out of date:\n${(error as { stderr: Buffer }).stderr}`);
  }
}

/**
 * All temporary files of the run, in this process and in those of the tests, go into one folder. It is removed at the
 * end, and when the run is cut short: by then a test may have left a Postgres behind in it.
 */
function useFolderOfThisRun(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-test-'));
  process.env.TMPDIR = folder;
  const remove = () => {
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
      if (path.endsWith('/postmaster.pid')) killPostgres(join(folder, path));
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    process.off('exit', remove);
  };
  process.once('exit', remove);
  return remove;
}

function killPostgres(pidFile: string): void {
  try {
    process.kill(Number.parseInt(readFileSync(pidFile, 'utf8'), 10), 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
