import type { Pool } from 'pg';
import type { LedgerSeq } from '../../gateway/ledger/ledger-seq.ts';
import { Hub } from '../../platform/events/hub.ts';
import { RecentRequests } from './recent-requests.ts';
import { conditionOf } from './request-filter.ts';
import { readRequests } from './request-rows.ts';
import type { Retry } from './retry.ts';

/** How many requests are held for those who read a little later. */
const HELD = 2_000;
const PAGE = 500;

/**
 * Reads what any server commits to the ledger, once for all who follow it on this one, from now until it is stopped.
 * Its hub tells them how far it is; what there is to read waits in `recent`.
 */
export class LiveRequests {
  readonly recent: RecentRequests;
  readonly hub = new Hub<bigint>();
  readonly #pool: Pool;
  readonly #ledgerSeq: LedgerSeq;
  readonly #retry: Retry;
  readonly #stopped = new AbortController();
  readonly #unfollow: () => void;
  #isReading = false;

  constructor(pool: Pool, ledgerSeq: LedgerSeq, retry: Retry) {
    this.#pool = pool;
    this.#ledgerSeq = ledgerSeq;
    this.#retry = retry;
    this.recent = new RecentRequests(HELD, ledgerSeq.current);
    this.#unfollow = ledgerSeq.onAdvance(() => void this.#read());
  }

  stop(): void {
    this.#unfollow();
    this.#stopped.abort();
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const { signal } = this.#stopped;
    try {
      while (this.recent.upTo < this.#ledgerSeq.current) {
        await this.#retry.until(() => this.#readPage(), signal);
        signal.throwIfAborted();
        this.hub.publish(this.recent.upTo);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#isReading = false;
    }
  }

  async #readPage(): Promise<void> {
    const end = this.#ledgerSeq.current;
    const clauses = [
      { sql: 'seq > ?', value: this.recent.upTo },
      { sql: 'seq <= ?', value: end },
    ];
    const requests = await readRequests(this.#pool, conditionOf(clauses), 'completions.seq', PAGE);
    const last = requests.length === PAGE ? requests.at(-1) : null;
    this.recent.append({ requests, upTo: last?.seq ?? end });
  }
}
