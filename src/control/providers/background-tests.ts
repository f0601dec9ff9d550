import type { Caller } from '../../gateway/admission/caller.ts';

const MOST_AT_ONCE = 4;

/**
 * Tests that nobody waits for: at most 4 at once, and one at a time for a provider. One that is asked for while another
 * of the same provider runs comes after it, because the key may be another by then.
 */
export class BackgroundTests {
  readonly #run: (providerId: string, caller: Caller) => Promise<void>;
  readonly #waiting = new Map<string, Caller>();
  readonly #running = new Map<string, Promise<void>>();

  /** @param run one test; never throws */
  constructor(run: (providerId: string, caller: Caller) => Promise<void>) {
    this.#run = run;
  }

  add(providerId: string, caller: Caller): void {
    this.#waiting.set(providerId, caller);
    setImmediate(() => this.#next());
  }

  /** Forgets those that wait; resolves once those that run have ended. */
  async close(): Promise<void> {
    this.#waiting.clear();
    await Promise.all(this.#running.values());
  }

  #next(): void {
    for (const [providerId, caller] of this.#waiting) {
      if (this.#running.size >= MOST_AT_ONCE) return;
      if (this.#running.has(providerId)) continue;
      this.#waiting.delete(providerId);
      const ended = this.#run(providerId, caller).then(() => {
        this.#running.delete(providerId);
        this.#next();
      });
      this.#running.set(providerId, ended);
    }
  }
}
