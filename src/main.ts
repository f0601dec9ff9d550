import { banner, credentials } from './banner.ts';
import { BudgetWatcher } from './control/budgets/budgets.ts';
import { RequestTail } from './control/completions/completions.ts';
import { LiveViews } from './control/metrics/metrics.ts';
import { HealthMonitor } from './control/providers/providers.ts';
import { followClearings } from './control/routes/routes.ts';
import type { Services } from './control/schema/context.ts';
import type { SeedResult } from './control/seed.ts';
import { seed } from './control/seed.ts';
import { followChanges } from './follow-changes.ts';
import { AccountCache } from './gateway/admission/accounts.ts';
import { RateLimiter } from './gateway/admission/rate-limit.ts';
import { Tokens } from './gateway/admission/tokens.ts';
import { Leases } from './gateway/allowances/leases.ts';
import { openCurrentAllowances } from './gateway/allowances/open-current.ts';
import { Gateway } from './gateway/gateway.ts';
import { openLedger } from './gateway/ledger/ledger.ts';
import { LedgerSeq } from './gateway/ledger/ledger-seq.ts';
import { Claims } from './gateway/replay/replay.ts';
import { SnapshotKeeper } from './gateway/snapshot/keeper.ts';
import { startSandbox } from './gateway/upstream/sandbox/sandbox.ts';
import { startHousekeeping } from './housekeeping.ts';
import { SecretBox } from './platform/crypto.ts';
import { type DataDir, openDataDir } from './platform/data-dir.ts';
import {
  assertReachable,
  createPool,
  type DatabaseConnection,
  parseDatabaseUrl,
} from './platform/database/connection.ts';
import { startEmbeddedPostgres } from './platform/database/embedded.ts';
import { migrate } from './platform/database/migrate.ts';
import { ensurePartitions } from './platform/database/partitions.ts';
import { createPrisma } from './platform/database/prisma.ts';
import { EventFeed } from './platform/events/feed.ts';
import { createLog, type Log } from './platform/log.ts';
import { assertPortFree, namePort } from './platform/port.ts';
import { readSettings, type Settings, SettingsError } from './platform/settings.ts';
import { StartError } from './platform/start-error.ts';
import { openServer } from './server/server.ts';

/** Request ids wait for Postgres no longer than this, and not for what else asks it. */
const CLAIM_MS = 2_000;
const CLAIM_CONNECTIONS = 4;
/** How long the last rows may take to reach Postgres at the end; what does not is in the journal. */
const DRAIN_MS = 1_500;

/** A server that runs. */
export interface Running {
  /** http://127.0.0.1:4000 */
  url: string;
  services: Services;
  /** What the first start made, to be shown once. */
  seeded: SeedResult;
  /**
   * Stops accepting, ends streams with a final event, settles and drains the ledger, closes the pools, stops Postgres.
   */
  close(): Promise<void>;
}

/**
 * Starts everything in the order in which it depends on each other: lock, Postgres, migrations, ledger (which recovers
 * what a killed server left behind), configuration, gateway, doors. What was started is closed again when a later step
 * fails.
 * @param onSeeded told at once what the first start made: should a later step fail, it must not be lost
 * @param signal ends the start early; it then throws the signal's reason
 * @throws SettingsError, or another error whose message says what stood in the way
 */
export async function start(
  settings: Settings,
  log: Log = createLog(settings),
  onSeeded: (seeded: SeedResult) => void = () => undefined,
  signal: AbortSignal = new AbortController().signal,
): Promise<Running> {
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) {
      try {
        await closer();
      } catch (error) {
        log.error({ err: error }, 'a part did not close cleanly');
      }
    }
  };
  try {
    // Known before anything is done; the doors themselves open last.
    await assertPortFree(settings).catch(namePort('PORT'));
    const dataDir = await openDataDir(settings.dataDir, { isShared: settings.databaseUrl !== null });
    closers.push(() => dataDir.close());
    const connection = await openDatabase(settings, log, signal, closers);
    signal.throwIfAborted();
    const { jwtSecret, secretBox } = await secretsOf(settings, dataDir);

    const rawMax = Math.max(2, Math.floor(settings.databasePoolMax / 4));
    const pool = createPool(connection, { max: rawMax, applicationName: 'signalbox', log });
    closers.push(() => pool.end());
    const prisma = createPrisma(connection, Math.max(2, settings.databasePoolMax - rawMax));
    closers.push(() => prisma.$disconnect());
    await ensurePartitions(pool, new Date(), log);
    closers.push(startHousekeeping(pool, settings, log));
    const seeded = await seed({ prisma, secretBox, settings, log });
    onSeeded(seeded);
    signal.throwIfAborted();

    const { directory, serverId, release } = await dataDir.claimJournal();
    closers.push(release);
    const clusterId = await readClusterId(prisma);
    const { journalFsync: fsync, journalMaxBytes: maxBytes, timeZone } = settings;
    const released = { leases: null as Leases | null, isDrained: false };
    closers.push(() => (released.isDrained ? released.leases?.close() : released.leases?.abandon()));
    const ledger = await openLedger({ directory, serverId, clusterId, connection, fsync, maxBytes, timeZone, log });
    closers.push(async () => {
      released.isDrained = (await ledger.close({ timeoutMs: DRAIN_MS })).drained;
    });

    await openCurrentAllowances(pool, timeZone);
    const leases = await Leases.open({ pool, serverId, timeZone, drained: () => ledger.drained(), log });
    released.leases = leases;
    signal.throwIfAborted();

    const sandbox = await startSandbox({ port: settings.sandboxPort }).catch(namePort('SANDBOX_PORT'));
    closers.push(() => sandbox.close());
    const snapshots = await SnapshotKeeper.open({ pool, secretBox, sandboxUrls: sandbox.urls, log });
    closers.push(() => snapshots.close());
    const accounts = await AccountCache.open({ pool, secretBox, log });
    closers.push(() => accounts.close());
    const ledgerSeq = await LedgerSeq.open(pool, log);
    closers.push(() => ledgerSeq.close());
    closers.push(ledger.onCommitted((seq) => ledgerSeq.advance(seq)));
    const feed = await EventFeed.open(pool, log);
    closers.push(() => feed.close());
    const changes = await followChanges(connection, { snapshots, accounts, feed, ledgerSeq, leases, log });
    closers.push(() => changes.close());
    const budgets = new BudgetWatcher({ prisma, settings, ledgerSeq, feed, log });
    closers.push(() => budgets.close());

    const claimOptions = { max: CLAIM_CONNECTIONS, statementTimeoutMs: CLAIM_MS, log };
    const claimPool = createPool(connection, { ...claimOptions, applicationName: 'signalbox request ids' });
    closers.push(() => claimPool.end());
    const claims = new Claims(claimPool, serverId, log);
    const gateway = new Gateway({ snapshots, ledger, leases, settings, claims, log });
    closers.push(() => gateway.close());
    const clearings = new AbortController();
    closers.push(() => clearings.abort());
    void followClearings({ feed, gateway }, clearings.signal);
    const rateLimiter = new RateLimiter(settings);
    const providerHealth = new HealthMonitor({ settings, log, prisma, snapshots, gateway, feed, rateLimiter });
    closers.push(() => providerHealth.close());
    const services: Services = {
      settings,
      log,
      prisma,
      pool,
      secretBox,
      tokens: new Tokens(jwtSecret, settings.jwtExpiresInSeconds),
      accounts,
      rateLimiter,
      snapshots,
      gateway,
      ledger,
      ledgerSeq,
      leases,
      feed,
      providerHealth,
      liveViews: new LiveViews({ pool, ledgerSeq, log }),
      requestTail: new RequestTail({ pool, ledgerSeq, log }),
    };
    signal.throwIfAborted();
    const server = await openServer(services).catch(namePort('PORT'));
    closers.push(() => server.close());
    // Before the sockets close, so that streams get their final event.
    closers.push(() => gateway.close());
    return { url: server.url, services, seeded, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The process: reads the settings, starts, prints where to go, and stops on SIGINT and SIGTERM with exit code 0.
 * What stands in the way of a start is told in one sentence, with exit code 1.
 */
export async function main(): Promise<void> {
  const stopping = new AbortController();
  let running: Running;
  let seeded: SeedResult | null = null;
  try {
    const settings = readSettings(process.env);
    const log = createLog(settings);
    process.on('uncaughtException', (error) => log.fatal({ err: error }, 'uncaught exception'));
    process.on('unhandledRejection', (error) => log.error({ err: error }, 'unhandled rejection'));
    const onSeeded = (made: SeedResult) => {
      seeded = made;
    };
    const starting = start(settings, log, onSeeded, stopping.signal);
    stopOnSignals(starting, stopping, log);
    running = await starting;
  } catch (error) {
    if (seeded) process.stdout.write(credentials(seeded));
    if (stopping.signal.aborted) return;
    process.stderr.write(`\nSignalbox did not start: ${explain(error)}\n`);
    process.exit(1);
  }
  process.stdout.write(banner(running.url, running.seeded));
}

/** Ends the process, also while it starts. */
function stopOnSignals(starting: Promise<Running>, stopping: AbortController, log: Log): void {
  const stop = async (signal: string) => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    log.info({ signal }, 'stopping');
    const running = await starting.catch(() => null);
    await running?.close();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal));
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isExpected = error instanceof SettingsError || error instanceof StartError;
  return isExpected ? error.message : (error.stack ?? error.message);
}

async function openDatabase(
  settings: Settings,
  log: Log,
  signal: AbortSignal,
  closers: (() => unknown)[],
): Promise<DatabaseConnection> {
  let connection: DatabaseConnection;
  if (settings.databaseUrl) {
    connection = parseDatabaseUrl(settings.databaseUrl);
    await assertReachable(connection);
  } else {
    const postgres = await startEmbeddedPostgres({ dataDir: settings.dataDir, log, signal });
    closers.push(() => postgres.stop());
    connection = postgres.connection;
  }
  signal.throwIfAborted();
  await migrate(connection, log);
  return connection;
}

/**
 * From the settings where they are given; otherwise made once and kept in DATA_DIR, where `signalbox keys rotate` adds
 * master keys while this server runs.
 */
async function secretsOf({ jwtSecret, encryptionKeys }: Settings, dataDir: DataDir) {
  if (jwtSecret && encryptionKeys) return { jwtSecret, secretBox: new SecretBox(encryptionKeys) };
  const made = await dataDir.secrets();
  const secretBox = encryptionKeys
    ? new SecretBox(encryptionKeys)
    : new SecretBox(made.encryptionKeys, async () => (await dataDir.secrets()).encryptionKeys);
  return { jwtSecret: jwtSecret ?? made.jwtSecret, secretBox };
}

async function readClusterId(prisma: Services['prisma']): Promise<string> {
  const { clusterId } = await prisma.configuration.findUniqueOrThrow({ where: { id: 1 } });
  return clusterId;
}
