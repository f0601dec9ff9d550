import type { LoggedRequest } from './logged-request.ts';

/** Some of the ledger: all requests behind one `seq` up to `upTo`, in its order. */
export interface Stretch {
  requests: readonly LoggedRequest[];
  upTo: bigint;
}

/**
 * The last requests of the ledger, once for all who follow it. A reader keeps nothing but the `seq` up to which they
 * have read, so that one who does not read costs nothing, and continues at the same place from here or from Postgres.
 */
export class RecentRequests {
  readonly #limit: number;
  #requests: LoggedRequest[] = [];
  /** Everything above it, up to `#upTo`, is held. */
  #from: bigint;
  #upTo: bigint;

  /**
   * @param limit how many are held
   * @param start the `seq` behind which holding begins
   */
  constructor(limit: number, start: bigint) {
    this.#limit = limit;
    this.#from = this.#upTo = start;
  }

  /** The `seq` up to which the ledger is known here. */
  get upTo(): bigint {
    return this.#upTo;
  }

  /** Takes what comes next; the oldest make room. */
  append({ requests, upTo }: Stretch): void {
    this.#requests.push(...requests);
    this.#upTo = upTo;
    const dropped = this.#requests.splice(0, Math.max(0, this.#requests.length - this.#limit));
    this.#from = dropped.at(-1)?.seq ?? this.#from;
  }

  /** What comes behind `seq`, at most `limit`; empty at the end. Null: it is no longer held, or never was. */
  after(seq: bigint, limit: number): Stretch | null {
    if (seq < this.#from) return null;
    if (seq >= this.#upTo) return { requests: [], upTo: seq };
    const start = this.#firstAfter(seq);
    const requests = this.#requests.slice(start, start + limit);
    const isLast = start + limit >= this.#requests.length;
    return { requests, upTo: isLast ? this.#upTo : (requests.at(-1)?.seq ?? this.#upTo) };
  }

  /** Index of the first above `seq`, by halving. */
  #firstAfter(seq: bigint): number {
    let low = 0;
    let high = this.#requests.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#requests[middle] as LoggedRequest).seq > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
