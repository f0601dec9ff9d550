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

  constructor(exchange: Exchange, totalMs: number) {
    this.#exchange = exchange;
    this.#total = setTimeout(() => this.#fire('TOTAL', totalMs), totalMs);
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
