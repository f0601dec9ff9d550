import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';

const RETRY_MS = 1_000;

/** Reads on after Postgres has been away. An outage is logged once, however many meet it. */
export class Retry {
  readonly #log: Log;
  #isFailing = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * What `read` gives once it succeeds; it is tried every second.
   * @throws CancelledError when the signal aborts first.
   */
  async until<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
    while (!signal.aborted) {
      try {
        const found = await read();
        if (this.#isFailing) this.#log.info('the request log can be followed again');
        this.#isFailing = false;
        return found;
      } catch (error) {
        if (!this.#isFailing) this.#log.warn({ err: error }, 'the request log cannot be followed; trying again');
        this.#isFailing = true;
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    throw new CancelledError('Nobody follows any more.');
  }
}
