import { ConcurrencyLimit } from '../../platform/concurrency-limit.ts';
import { invalid } from '../../platform/errors.ts';
import type { Services } from '../schema/context.ts';
import { LiveRequests } from './live-requests.ts';
import type { LoggedRequest } from './logged-request.ts';
import type { Stretch } from './recent-requests.ts';
import { conditionOf, type RequestClause } from './request-filter.ts';
import { readRequests } from './request-rows.ts';
import { Retry } from './retry.ts';

const PAGE = 200;
/** What one statement looks through at most, however few of them fit the filter. */
const LONGEST_STRETCH = 20_000n;
/** Of all who catch up together: a thousand who come back after a restart cost time, not connections. */
const STATEMENTS_AT_ONCE = 2;

type TailServices = Pick<Services, 'pool' | 'ledgerSeq' | 'log'>;

/**
 * Follows the ledger of all servers for those who subscribe on this one. A follower is nothing but the `seq` up to
 * which they have read. As long as that is behind what is held in memory they read from Postgres, page by page as they
 * take them, then from memory; so whoever falls behind goes on where they were, and nothing is skipped or repeated.
 */
export class RequestTail {
  readonly #services: TailServices;
  readonly #retry: Retry;
  readonly #statements = new ConcurrencyLimit(STATEMENTS_AT_ONCE);
  /** Null while nobody follows. */
  #live: LiveRequests | null = null;

  constructor(services: TailServices) {
    this.#services = services;
    this.#retry = new Retry(services.log);
  }

  get followers(): number {
    return this.#live?.hub.size ?? 0;
  }

  /**
   * Requests that fit the clauses, in the order of `seq`, until the signal aborts. Outlives outages of Postgres.
   * @param afterSeq begin behind this one; null: behind what is committed now
   * @throws ValidationError when the ledger does not reach as far as `afterSeq`.
   */
  async follow(
    clauses: readonly RequestClause[],
    afterSeq: bigint | null,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<LoggedRequest, void, undefined>> {
    const { ledgerSeq } = this.#services;
    const start = afterSeq ?? ledgerSeq.current;
    if (start > ledgerSeq.current) await this.#assertReached(start, signal);
    return this.#follow(clauses, start, signal);
  }

  /** Another server may be ahead of what this one knows, so Postgres is asked. */
  async #assertReached(seq: bigint, signal: AbortSignal): Promise<void> {
    const { pool } = this.#services;
    const { rows } = await this.#retry.until(
      () => pool.query<{ seq: string }>('SELECT seq::text FROM ledger_head WHERE id = 1'),
      signal,
    );
    const head = BigInt(rows[0]?.seq ?? 0);
    if (seq <= head) return;
    const message = `is past the end of the ledger, which is at ${head}; it is of another database, or of one that was restored`;
    throw invalid('afterSeq', message);
  }

  async *#follow(clauses: readonly RequestClause[], start: bigint, signal: AbortSignal) {
    this.#live ??= new LiveRequests(this.#services.pool, this.#services.ledgerSeq, this.#retry);
    const live = this.#live;
    const news = live.hub.subscribe({ overflow: 'LATEST' }, signal);
    try {
      let seq = start;
      while (!signal.aborted) {
        const held = live.recent.after(seq, PAGE);
        const { requests, upTo } = held ?? (await this.#catchUp(clauses, seq, live.recent.upTo, signal));
        for (const request of requests) {
          if (clauses.every(({ fits }) => fits(request))) yield this.#withLastingAttempts(request, signal);
        }
        // What was published since `after` was called waits in the queue.
        if (upTo === seq) await news.next();
        seq = upTo;
      }
    } finally {
      await news.return?.();
      if (live.hub.size === 0 && this.#live === live) this.#stop(live);
    }
  }

  #stop(live: LiveRequests): void {
    this.#live = null;
    live.stop();
  }

  #catchUp(clauses: readonly RequestClause[], seq: bigint, known: bigint, signal: AbortSignal): Promise<Stretch> {
    const end = known - seq > LONGEST_STRETCH ? seq + LONGEST_STRETCH : known;
    const condition = conditionOf([...clauses, { sql: 'seq > ?', value: seq }, { sql: 'seq <= ?', value: end }]);
    return this.#read(async () => {
      const requests = await readRequests(this.#services.pool, condition, 'completions.seq', PAGE);
      const last = requests.length === PAGE ? requests.at(-1) : null;
      return { requests, upTo: last?.seq ?? end };
    }, signal);
  }

  /** Without Postgres the request waits for its attempts: an event that fails would be a gap. */
  #withLastingAttempts(request: LoggedRequest, signal: AbortSignal): LoggedRequest {
    return { ...request, attempts: () => this.#read(request.attempts, signal) };
  }

  #read<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#statements.run(() => this.#retry.until(read, signal));
  }
}
