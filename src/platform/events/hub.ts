import { OverloadedError } from '../errors.ts';

/** What happens to a subscriber who reads more slowly than events come. */
export interface Queueing {
  /**
   * LATEST: a newer event takes the place of the one that waits, for readings that are replaced by the next one anyway.
   * END: the subscription ends with OverloadedError, for streams that must be whole.
   */
  overflow: 'LATEST' | 'END';
  /** With END, how many events may wait. Default 1,000. */
  limit?: number;
}

const DEFAULT_LIMIT = 1_000;

/**
 * Passes events on to subscribers inside this process. Each has a bounded queue of its own, so that one who stops
 * reading costs a fixed amount of memory, holds nobody up, and never gets what is another's.
 */
export class Hub<T> {
  readonly #subscribers = new Set<Subscriber<T>>();
  #dropped = 0;

  get size(): number {
    return this.#subscribers.size;
  }

  /** Events that were replaced by newer ones before their subscriber read them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Never blocks and never throws, whatever the subscribers do. */
  publish(event: T): void {
    for (const subscriber of this.#subscribers) this.#dropped += subscriber.push(event);
  }

  /** Events from now on. Ends when `signal` aborts or the reader stops, without waiting for another event. */
  subscribe(queueing: Queueing, signal: AbortSignal): AsyncIterableIterator<T> {
    const subscriber = new Subscriber<T>(queueing, () => {
      this.#subscribers.delete(subscriber);
      signal.removeEventListener('abort', end);
    });
    const end = () => subscriber.end();
    this.#subscribers.add(subscriber);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    return subscriber;
  }
}

class Subscriber<T> implements AsyncIterableIterator<T> {
  readonly #queueing: Queueing;
  readonly #ended: () => void;
  #queue: T[] = [];
  #waiting: ((result: IteratorResult<T>) => void)[] = [];
  #isOver = false;
  #failure: Error | null = null;

  constructor(queueing: Queueing, ended: () => void) {
    this.#queueing = queueing;
    this.#ended = ended;
  }

  /** Returns how many events were dropped. */
  push(event: T): number {
    const waiting = this.#waiting.shift();
    if (waiting) {
      waiting({ value: event, done: false });
      return 0;
    }
    if (this.#queueing.overflow === 'LATEST') {
      const dropped = this.#queue.length;
      this.#queue = [event];
      return dropped;
    }
    const limit = this.#queueing.limit ?? DEFAULT_LIMIT;
    if (this.#queue.length < limit) {
      this.#queue.push(event);
      return 0;
    }
    this.#failure = new OverloadedError(`More than ${limit} events were waiting to be read. Subscribe again.`, 1);
    this.end();
    return 0;
  }

  /** What waits is forgotten; whoever waits is told. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queue = [];
    for (const waiting of this.#waiting.splice(0)) waiting({ value: undefined, done: true });
    this.#ended();
  }

  next(): Promise<IteratorResult<T>> {
    const [event] = this.#queue;
    if (this.#queue.length > 0) {
      this.#queue.shift();
      return Promise.resolve({ value: event as T, done: false });
    }
    if (!this.#isOver) return new Promise((resolve) => this.#waiting.push(resolve));
    const failure = this.#failure;
    this.#failure = null;
    return failure ? Promise.reject(failure) : Promise.resolve({ value: undefined, done: true });
  }

  return(): Promise<IteratorResult<T>> {
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
