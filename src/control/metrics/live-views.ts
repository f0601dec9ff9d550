import { setTimeout as delay } from 'node:timers/promises';
import { ConcurrencyLimit } from '../../platform/concurrency-limit.ts';
import type { CompletionFilter } from '../completions/completions.ts';
import type { Services } from '../schema/context.ts';
import { INTERVAL_MS, LiveView } from './live-view.ts';
import type { MetricsReading } from './reading.ts';
import type { MetricsRange } from './span.ts';

/** Of all views together: a thousand different ones cost time, not connections. */
const STATEMENTS_AT_ONCE = 2;

type LiveServices = Pick<Services, 'pool' | 'ledgerSeq' | 'log'>;

/** The views that somebody watches on this server, each once for all who watch it. */
export class LiveViews {
  readonly #services: LiveServices;
  readonly #views = new Map<string, LiveView>();
  readonly #statements = new ConcurrencyLimit(STATEMENTS_AT_ONCE);
  /** By views that nobody watches any more. */
  #dropped = 0;
  #isFailing = false;
  #unfollow: (() => void) | null = null;

  constructor(services: LiveServices) {
    this.#services = services;
  }

  /** How many views are watched. */
  get size(): number {
    return this.#views.size;
  }

  /** Readings that a slow subscriber did not get, because a newer one took their place. */
  get dropped(): number {
    return [...this.#views.values()].reduce((sum, { hub }) => sum + hub.dropped, this.#dropped);
  }

  /**
   * The numbers as they are, then as they become, at most once a second for each reader.
   * @param filter of what the reader may see
   */
  async *watch(range: MetricsRange, filter: CompletionFilter, signal: AbortSignal): AsyncGenerator<MetricsReading> {
    const key = keyOf(range, filter);
    const view = this.#views.get(key) ?? this.#open(key, range, filter);
    const readings = view.hub.subscribe({ overflow: 'LATEST' }, signal);
    try {
      if (view.latest) yield* paced([view.latest], signal);
      yield* paced(readings, signal);
    } finally {
      await readings.return?.();
      this.#leave(key, view);
    }
  }

  #open(key: string, range: MetricsRange, filter: CompletionFilter): LiveView {
    const { pool, ledgerSeq } = this.#services;
    this.#unfollow ??= ledgerSeq.onAdvance(() => {
      for (const view of this.#views.values()) view.touch();
    });
    const view = new LiveView({
      range,
      filter,
      query: (sql, values) => pool.query(sql, values),
      statements: this.#statements,
      onRead: (error) => this.#note(error),
    });
    this.#views.set(key, view);
    return view;
  }

  /** The last one to leave stops the view. */
  #leave(key: string, view: LiveView): void {
    if (view.hub.size > 0 || this.#views.get(key) !== view) return;
    view.stop();
    this.#views.delete(key);
    this.#dropped += view.hub.dropped;
    if (this.#views.size > 0) return;
    this.#unfollow?.();
    this.#unfollow = null;
  }

  /** An outage is logged once, however many views meet it. */
  #note(error: unknown): void {
    const isFailing = error !== null;
    if (isFailing === this.#isFailing) return;
    this.#isFailing = isFailing;
    if (isFailing) this.#services.log.warn({ err: error }, 'live metrics cannot be read; trying again every second');
    else this.#services.log.info('live metrics can be read again');
  }
}

/** Waits after each reading; what comes meanwhile waits in the queue, the newest only. */
async function* paced(readings: Iterable<MetricsReading> | AsyncIterable<MetricsReading>, signal: AbortSignal) {
  for await (const reading of readings) {
    yield reading;
    await delay(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}

function keyOf(range: MetricsRange, filter: CompletionFilter): string {
  const { status, provider, model, route, variant, userId, apiKeyId } = filter;
  return JSON.stringify([
    range,
    ...[status, provider, model, route, variant, userId, apiKeyId].map((value) => value || null),
  ]);
}
