import pg from 'pg';
import type { Log } from '../../platform/log.ts';
import { Backlog } from './backlog.ts';
import { DrainThread } from './drain-thread.ts';
import { encodeIntent, encodeSettlement, encodeUnattempted } from './encode.ts';
import { Journal } from './journal.ts';
import { JournaledFacts } from './journaled-facts.ts';
import { JournaledPrices } from './journaled-prices.ts';
import { openLastSegment } from './open-journal.ts';
import { readState } from './post.ts';
import type { LedgerWriter } from './records.ts';
import { closeLostCompletions } from './recovery.ts';
import { type JournalIdentity, listSegments, type Position, syncDirectory } from './segments.ts';

export { JournalError } from './segments.ts';
export { totalsOf } from './settlement.ts';

const CLOSE_TIMEOUT_MS = 10_000;

export interface LedgerOptions {
  /** The journal's folder, which exists and is this process's alone. */
  directory: string;
  serverId: string;
  /** Identity of the database. */
  clusterId: string;
  /** How to reach Postgres; plain data, because it goes to another thread. */
  connection: pg.PoolConfig;
  /** Records are durable on the disk, not only in the system's cache, before they are confirmed. */
  fsync: boolean;
  /** Most bytes of the journal that wait for Postgres; at that many no completion begins. */
  maxBytes: number;
  /** Where the periods of budgets begin. */
  timeZone: string;
  log: Log;
}

export interface LedgerStatus {
  /** Bytes of the journal that are not in Postgres yet. */
  pendingBytes: number;
  /** At so many no completion begins. */
  maxBytes: number;
  isFull: boolean;
  /** The latest `seq` that the drain has seen. */
  lastSeq: bigint;
  /** Why the journal cannot be written or drained; null while it can. */
  lastError: string | null;
  /** When nothing was pending last; null when that has not been since the start. */
  drainedAt: Date | null;
}

/**
 * The ledger of one server. `intend`, `settle` and `complete` cost one shared write for each turn of the event loop and
 * wait for no database. They reject with OverloadedError when the journal cannot be written; a settlement is then written
 * later by itself, so it must not be repeated. While `maxBytes` wait for Postgres, what only begins is refused in the
 * same way, and so is a completion without attempts; settlements are taken, for there is one at most for each intent.
 * Only the first settlement of an attempt counts; settling the last attempt again with `completion` ends a completion
 * that makes no further attempt.
 */
export interface Ledger extends LedgerWriter {
  /** Resolves when everything appended so far is committed in Postgres. */
  drained(): Promise<void>;
  status(): LedgerStatus;
  /** Calls the listener with the latest `seq` after commits of this server. Returns what ends it. */
  onCommitted(listener: (seq: bigint) => void): () => void;
  /**
   * Refuses new records, waits until everything is drained or `timeoutMs` (default 10,000) has passed, and stops. What
   * was not drained stays in the journal for the next start.
   */
  close(options?: { timeoutMs: number }): Promise<{ drained: boolean }>;
}

/**
 * Opens a server's journal, closes what its last process left open, and starts the drain.
 * @throws JournalError when the journal is damaged, or of another database or server.
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const { directory, serverId, clusterId, connection, fsync, maxBytes, timeZone, log } = options;
  const identity: JournalIdentity = { clusterId, serverId };
  const state = await stateInPostgres(connection, serverId);
  const last = openLastSegment(directory, identity, state.position, log);
  if (fsync) syncDirectory(directory);
  const start = state.position ?? { segment: listSegments(directory)[0] ?? last.segment, offset: 0 };

  const end: Position = { segment: last.segment, offset: last.size };
  const backlog = new Backlog({ directory, drained: start, end, maxBytes, log });
  let drain: DrainThread | null = null;
  let writeError: string | null = null;
  const journal = new Journal(
    {
      directory,
      identity,
      fsync,
      onGrown: (end) => {
        if (writeError) log.info('the journal can be written again');
        writeError = null;
        backlog.grow(end);
        drain?.extend(end);
      },
      onError: (error) => {
        if (error.message !== writeError) log.error({ err: error }, 'the journal cannot be written');
        writeError = error.message;
      },
    },
    last,
  );
  try {
    const lost = await closeLostCompletions(journal, directory, identity, start);
    if (lost > 0) log.warn({ completions: lost }, 'completions that a stopped server left open are now INDETERMINATE');
  } catch (error) {
    await journal.close();
    throw error;
  }

  const listeners = new Set<(seq: bigint) => void>();
  const thread = new DrainThread(
    { directory, identity, connection, timeZone, end: journal.end },
    { seq: state.seq, drained: start },
    log,
    (progress, before) => {
      backlog.shrink(progress.drained);
      if (progress.seq > before.seq) for (const listener of listeners) listener(progress.seq);
    },
  );
  drain = thread;
  const prices = new JournaledPrices(journal);
  const facts = new JournaledFacts(journal);
  /** A record that is refused or cannot be encoded is a rejection like any other. */
  const append = (write: () => Promise<void>) => {
    try {
      return write();
    } catch (error) {
      return Promise.reject(error);
    }
  };
  const intend: Ledger['intend'] = (intent, price) =>
    append(() => {
      backlog.assertRoom();
      if (price) prices.write(price);
      return journal.append(encodeIntent(intent), false);
    });
  const settle: Ledger['settle'] = (settlement, price) =>
    append(() => {
      if (price) prices.write(price);
      return journal.append(encodeSettlement(settlement), true);
    });
  const complete: Ledger['complete'] = (origin, outcome) =>
    append(() => {
      backlog.assertRoom();
      // Nothing was sent for it, so that what its caller was refused need not be on the ledger.
      return journal.append(encodeUnattempted(origin, outcome), false);
    });
  const drained = async () => {
    await journal.flush();
    await thread.drainedTo(journal.end);
  };
  let closing: Promise<{ drained: boolean }> | null = null;

  return {
    intend,
    settle,
    complete,
    record: (fact) => !backlog.isFull && facts.write(fact),
    drained,
    status: () => ({
      pendingBytes: backlog.bytes,
      maxBytes,
      isFull: backlog.isFull,
      lastSeq: thread.progress.seq,
      lastError: writeError ?? thread.lastError,
      drainedAt: thread.drainedAt,
    }),
    onCommitted(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close({ timeoutMs } = { timeoutMs: CLOSE_TIMEOUT_MS }) {
      closing ??= (async () => {
        await journal.close();
        const isDrained = await within(timeoutMs, thread.drainedTo(journal.end));
        await thread.stop();
        return { drained: isDrained };
      })();
      return closing;
    },
  };
}

async function stateInPostgres(connection: pg.PoolConfig, serverId: string) {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 10_000, query_timeout: 10_000 });
  // A connection that breaks fails what is asked over it.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await readState(client, serverId);
  } finally {
    await client.end();
  }
}

/** Whether a promise resolves in time. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
