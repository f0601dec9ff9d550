import type { UpstreamTimeoutError } from '../../platform/errors.ts';
import type { Exchange } from './transport.ts';

/** What an exchange is aborted with when a limit passes. */
export class DeadlineError extends Error {
  readonly timeout: UpstreamTimeoutError['timeout'];
  readonly limitMs: number;

  constructor(timeout: UpstreamTimeoutError['timeout'], limitMs: number) {
    super(`${timeout} limit of ${limitMs} ms passed`);
    this.timeout = timeout;
    this.limitMs = limitMs;
  }
}

/**
 * Ends an exchange when its provider is too slow. Two limits run side by side: one over the whole call, and the one
 * that was armed last. Disarm it while the client, not the provider, is being waited for.
 */
export class Watchdog {
  readonly #exchange: Exchange;
  readonly #total: NodeJS.Timeout;
  #armed: NodeJS.Timeout | null = null;

  /**
   * @param totalMs how long the call may take from now
   * @param limitMs the limit that this is what is left of, for the error
   */
  constructor(exchange: Exchange, totalMs: number, limitMs = totalMs) {
    this.#exchange = exchange;
    this.#total = setTimeout(() => this.#fire('TOTAL', limitMs), totalMs);
  }

  arm(timeout: 'FIRST_TOKEN' | 'STALL', limitMs: number): void {
    this.disarm();
    this.#armed = setTimeout(() => this.#fire(timeout, limitMs), limitMs);
  }

  disarm(): void {
    if (this.#armed) clearTimeout(this.#armed);
    this.#armed = null;
  }

  stop(): void {
    this.disarm();
    clearTimeout(this.#total);
  }

  #fire(timeout: UpstreamTimeoutError['timeout'], limitMs: number): void {
    this.#exchange.abort(new DeadlineError(timeout, limitMs));
  }
}
