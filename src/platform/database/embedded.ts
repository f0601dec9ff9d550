import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Log } from '../log.ts';
import { socketFolder } from '../socket-folder.ts';
import type { DatabaseConnection } from './connection.ts';
import { findBinaries } from './embedded/binaries.ts';
import { CLUSTER_NAME, openCluster } from './embedded/cluster.ts';
import { EmbeddedPostgresError } from './embedded/errors.ts';
import { stopLeftover } from './embedded/leftover.ts';
import { choosePlace, LOCATION_FILE, type Place } from './embedded/place.ts';
import { type Postmaster, startPostmaster } from './embedded/postmaster.ts';

export { EmbeddedPostgresError } from './embedded/errors.ts';

export interface EmbeddedPostgres {
  /** Stays the same when Postgres dies and is started again. */
  connection: DatabaseConnection;
  /** Postgres's process id; null while it is down. */
  readonly pid: number | null;
  /** Stops Postgres and leaves no process; takes at most about 4 s. Close pools before. */
  stop(): Promise<void>;
}

const PORT = 5432;
const CRASH_RECOVERY_LIMIT_MS = 300_000;

/**
 * Starts the Postgres that ships in node_modules, with its files in `dataDir`, which must be locked by this process
 * (see openDataDir). Makes the cluster and the database at the first start. Returns when it answers.
 * @param options.signal ends the start early, with its reason; nothing is left running
 * @throws EmbeddedPostgresError that says in one sentence why it cannot run here.
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  log: Log;
  signal?: AbortSignal;
}): Promise<EmbeddedPostgres> {
  const { log, signal = new AbortController().signal } = options;
  const dataDir = await realpath(options.dataDir);
  const place = await choosePlace(dataDir);
  const binaries = await findBinaries(place);
  const cluster = await openCluster(place, binaries, signal);
  await stopLeftover(cluster, log);
  signal.throwIfAborted();

  const connection = await connectionAt(place);
  const logFile = join(dataDir, 'postgres.log');
  const postmaster = startPostmaster({
    ...{ binaries, cluster, logFile, log },
    ...{ socketFolder: connection.host, runAs: place.runAs },
  });
  try {
    await waitUntilReady({ ...connection, database: 'postgres' }, postmaster, logFile, { log, signal });
    await createDatabase(connection);
  } catch (error) {
    await postmaster.stop();
    throw error;
  }
  return {
    connection,
    get pid() {
      return postmaster.pid;
    },
    stop: () => postmaster.stop(),
  };
}

/** Whether an embedded Postgres was ever started for this folder. */
export async function hasEmbeddedPostgres(dataDir: string): Promise<boolean> {
  const found = await Promise.all(
    [join(dataDir, 'postgres'), join(dataDir, LOCATION_FILE)].map((path) => stat(path).catch(() => null)),
  );
  return found.some((one) => one !== null);
}

/** Where the Postgres of the server that runs on `dataDir` answers, to those who may use its socket: its user, and root. */
export async function runningEmbeddedPostgres(dataDir: string): Promise<DatabaseConnection> {
  return connectionAt(await choosePlace(await realpath(dataDir)));
}

async function connectionAt(place: Place): Promise<DatabaseConnection> {
  const host = await socketFolder(join(place.root, 'postgres-run'), `.s.PGSQL.${PORT}.lock`, place.runAs);
  return { host, port: PORT, user: CLUSTER_NAME, database: CLUSTER_NAME, ssl: false };
}

/** Crash recovery can take minutes; a Postgres that ends again and again is given up after 5 s. */
async function waitUntilReady(
  connection: DatabaseConnection,
  postmaster: Postmaster,
  logFile: string,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  const startedAt = performance.now();
  let nextNoticeMs = 5_000;
  for (;;) {
    const failure = await tryToConnect(connection);
    if (failure === null) return;
    signal.throwIfAborted();
    const elapsedMs = performance.now() - startedAt;
    const isGivenUp = postmaster.pid === null && elapsedMs > 5_000;
    if (isGivenUp || elapsedMs > CRASH_RECOVERY_LIMIT_MS)
      throw new EmbeddedPostgresError(
        `The embedded Postgres does not start (${(await lastLine(logFile)) || failure}); see ${logFile}.`,
      );
    if (elapsedMs > nextNoticeMs) {
      log.info({ reason: failure }, 'waiting for Postgres');
      nextNoticeMs += 10_000;
    }
    await delay(25);
  }
}

async function tryToConnect(connection: DatabaseConnection): Promise<string | null> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function createDatabase(connection: DatabaseConnection): Promise<void> {
  const client = new pg.Client({ ...connection, database: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [connection.database]);
    if (rowCount === 0) await client.query(`CREATE DATABASE "${connection.database}"`);
  } finally {
    await client.end();
  }
}

async function lastLine(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim().split('\n').at(-1) ?? '';
}
