import type { Pool } from 'pg';
import type { Log } from '../../platform/log.ts';

/** The channel on which the drain of each server tells the latest `seq`. */
export const LEDGER_CHANNEL = 'signalbox_ledger';

/** How often the head is read in case a notification was lost. */
const POLL_MS = 1_000;

/**
 * How far the ledger of all servers over one Postgres is. Whoever follows it reads the rows above the `seq` they have:
 * `seq` is the order of commits, without gaps.
 */
export class LedgerSeq {
  readonly #pool: Pool;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<() => void>();
  #current: bigint;

  private constructor(pool: Pool, log: Log, current: bigint) {
    this.#pool = pool;
    this.#log = log;
    this.#current = current;
    this.#timer = setInterval(() => void this.refresh(), POLL_MS);
    this.#timer.unref();
  }

  static async open(pool: Pool, log: Log): Promise<LedgerSeq> {
    return new LedgerSeq(pool, log, await readHead(pool));
  }

  /** The latest `seq` that is committed, as far as this server knows. */
  get current(): bigint {
    return this.#current;
  }

  /** Calls the listener after commits of any server, within milliseconds. Returns what ends it. */
  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** This `seq` is committed. */
  advance(seq: bigint): void {
    if (seq <= this.#current) return;
    this.#current = seq;
    for (const listener of this.#listeners) listener();
  }

  /** Looks into Postgres. Without it, nothing is committed either: the next look will do. */
  async refresh(): Promise<void> {
    try {
      this.advance(await readHead(this.#pool));
    } catch (error) {
      this.#log.debug({ err: error }, 'the head of the ledger could not be read');
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }
}

async function readHead(pool: Pool): Promise<bigint> {
  const { rows } = await pool.query<{ seq: string }>('SELECT seq::text FROM ledger_head WHERE id = 1');
  return BigInt(rows[0]?.seq ?? 0);
}
