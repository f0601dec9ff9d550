import { setTimeout as delay } from 'node:timers/promises';
import { DataDirInUseError, openDataDir } from '../platform/data-dir.ts';
import { assertReachable, type DatabaseConnection, parseDatabaseUrl } from '../platform/database/connection.ts';
import { hasEmbeddedPostgres, runningEmbeddedPostgres, startEmbeddedPostgres } from '../platform/database/embedded.ts';
import { migrate } from '../platform/database/migrate.ts';
import type { Log } from '../platform/log.ts';
import type { Settings } from '../platform/settings.ts';
import { StartError } from '../platform/start-error.ts';

const PATIENCE_MS = 30_000;

/** The database of a server, whether that runs or not. */
export interface OpenDatabase extends AsyncDisposable {
  connection: DatabaseConnection;
}

/**
 * The database of DATABASE_URL; or the embedded one: the Postgres of the server that runs on DATA_DIR, else one that is
 * started for as long as this is open, and keeps a server from starting meanwhile.
 * @throws StartError
 */
export async function openDatabase(settings: Settings, log: Log): Promise<OpenDatabase> {
  if (settings.databaseUrl) {
    const connection = parseDatabaseUrl(settings.databaseUrl);
    await assertReachable(connection);
    return { connection, [Symbol.asyncDispose]: async () => undefined };
  }
  const { dataDir } = settings;
  if (!(await hasEmbeddedPostgres(dataDir)))
    throw new StartError(`There is no database in ${dataDir}; set DATA_DIR or DATABASE_URL to those of the server.`);
  try {
    return await startHere(dataDir, log);
  } catch (error) {
    if (!(error instanceof DataDirInUseError)) throw error;
    const connection = await runningEmbeddedPostgres(dataDir);
    await waitFor(connection, dataDir);
    return { connection, [Symbol.asyncDispose]: async () => undefined };
  }
}

async function startHere(dataDir: string, log: Log): Promise<OpenDatabase> {
  const folder = await openDataDir(dataDir, { isShared: false });
  try {
    const postgres = await startEmbeddedPostgres({ dataDir, log });
    const close = async () => {
      await postgres.stop();
      await folder.close();
    };
    try {
      await migrate(postgres.connection, log);
    } catch (error) {
      await postgres.stop();
      throw error;
    }
    return { connection: postgres.connection, [Symbol.asyncDispose]: close };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/** A server that is starting takes a while until its Postgres answers. */
async function waitFor(connection: DatabaseConnection, dataDir: string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; ; await delay(200)) {
    try {
      return await assertReachable(connection);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      if (performance.now() > end)
        throw new StartError(
          `A server runs on ${dataDir}, but this user does not reach its Postgres; be the user it runs as, or root.`,
        );
    }
  }
}
