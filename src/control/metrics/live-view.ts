import type { ConcurrencyLimit } from '../../platform/concurrency-limit.ts';
import { Hub } from '../../platform/events/hub.ts';
import type { CompletionFilter } from '../completions/completions.ts';
import { type MetricsReading, readMetrics } from './reading.ts';
import type { Query } from './rollup-query.ts';
import { type MetricsRange, spanOf } from './span.ts';
import type { Summary } from './summary.ts';

/** Shortest time between two readings of one view, in milliseconds. */
export const INTERVAL_MS = 1_000;

/** The length of the longest bucket; a clock that was set back must not stretch a wait beyond what timers can. */
const LONGEST_WAIT_MS = 3_600_000;

/** What a view is of. */
export interface ViewOptions {
  range: MetricsRange;
  /** Of what its subscribers may see. */
  filter: CompletionFilter;
  query: Query;
  /** What the statements of all views are sent through. */
  statements: ConcurrencyLimit;
  /** Told how each reading went; null: well. */
  onRead: (error: unknown) => void;
}

/**
 * One reading for all who watch the same numbers. It reads when the ledger has grown or the span has moved, at most once
 * a second, and publishes what differs from what it published last. A reading that fails is tried again a second later.
 */
export class LiveView {
  readonly hub = new Hub<MetricsReading>();
  readonly #options: ViewOptions;
  readonly #stopped = new AbortController();
  /** Sends nothing more once the view is stopped. */
  readonly #query: Query = (sql, values) =>
    this.#options.statements.run(() => {
      this.#stopped.signal.throwIfAborted();
      return this.#options.query(sql, values);
    });
  #latest: MetricsReading | null = null;
  #published: Summary | null = null;
  #isDirty = true;
  #isReading = false;
  /** When the last reading ended, in milliseconds of the monotonic clock. */
  #readAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ViewOptions) {
    this.#options = options;
    this.#arm();
  }

  /** The newest reading, whose numbers are those published last. Null before the first. */
  get latest(): MetricsReading | null {
    return this.#latest;
  }

  /** The ledger has grown. */
  touch(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#arm();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /** Waits until the numbers may be others: a second after the last reading, or else the end of the running bucket. */
  #arm(): void {
    if (this.#isReading || this.#stopped.signal.aborted) return;
    clearTimeout(this.#timer);
    const next = this.#readAt + INTERVAL_MS - performance.now();
    const end = (this.#latest?.span.to.getTime() ?? 0) - Date.now();
    const wait = Math.min(Math.max(next, this.#isDirty ? 0 : end), LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => void this.#read(), wait);
  }

  async #read(): Promise<void> {
    const { range, filter, onRead } = this.#options;
    this.#isReading = true;
    this.#isDirty = false;
    try {
      const reading = readMetrics(this.#query, spanOf({ range }, new Date()), filter);
      const summary = await reading.summary();
      this.#latest = reading;
      if (this.#published === null || isOther(summary, this.#published)) {
        this.#published = summary;
        this.hub.publish(reading);
      }
      onRead(null);
    } catch (error) {
      this.#isDirty = true;
      if (!this.#stopped.signal.aborted) onRead(error);
    } finally {
      this.#isReading = false;
      this.#readAt = performance.now();
      this.#arm();
    }
  }
}

function isOther(one: Summary, another: Summary): boolean {
  return (Object.keys(one) as (keyof Summary)[]).some((name) => one[name] !== another[name]);
}
