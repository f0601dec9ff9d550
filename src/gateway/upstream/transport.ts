import type { IncomingHttpHeaders } from 'node:http';
import { Agent, type Dispatcher } from 'undici';
import { CancelledError } from '../../platform/errors.ts';

/** Above this many unread bytes the upstream's socket is not read any further. */
const HIGH_WATER_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_CONNECTION_MS = 30_000;
const CONNECTIONS_PER_ORIGIN = 2_048;

export interface UpstreamCall {
  /** Scheme, host and port: https://api.example.com */
  origin: string;
  path: string;
  headers: Record<string, string>;
  /** Null: none. */
  body: Buffer | null;
}

export interface UpstreamHead {
  status: number;
  headers: IncomingHttpHeaders;
}

/** Keep-alive connections to the providers. */
export class Transport {
  readonly #agent = new Agent({
    connections: CONNECTIONS_PER_ORIGIN,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    keepAliveTimeout: IDLE_CONNECTION_MS,
    // Each attempt has its own limits, in milliseconds; those of the pool are too coarse.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  /** Sends one request. Nothing is awaited here: the head and the body come from the exchange. */
  send(method: 'GET' | 'POST', call: UpstreamCall): Exchange {
    const { origin, path, headers, body } = call;
    const exchange = new Exchange();
    this.#agent.dispatch({ origin, path, method, headers, body }, exchange);
    return exchange;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/**
 * One call to a provider. The body is pulled: while nobody reads, at most 64 KiB wait here and the socket rests, so a
 * slow client slows the provider down instead of filling memory.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  #controller: Dispatcher.DispatchController | null = null;
  #head: UpstreamHead | null = null;
  readonly #chunks: Buffer[] = [];
  #waitingBytes = 0;
  #ended = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;

  /** @throws what ended the call before it was answered */
  async head(): Promise<UpstreamHead> {
    while (!this.#head) {
      if (this.#error) throw this.#error;
      await this.#changed();
    }
    return this.#head;
  }

  /**
   * The next bytes of the body; null at its end. One reader at a time.
   * @throws what cut the body short; bytes that came before are read first
   */
  async read(): Promise<Buffer | null> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#waitingBytes -= chunk.length;
        if (this.#controller?.paused && this.#waitingBytes < HIGH_WATER_BYTES) this.#controller.resume();
        return chunk;
      }
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      await this.#changed();
    }
  }

  /** Ends the call now: the socket is destroyed, what waits is dropped, and reading throws `reason`. */
  abort(reason: Error): void {
    if (this.#ended || this.#error) return;
    this.#chunks.length = 0;
    this.#fail(reason);
    this.#controller?.abort(reason);
  }

  /**
   * Reads and drops a rest that does not matter (what follows `[DONE]`), so that the connection can be used again.
   * Gives up after a second.
   */
  drain(): void {
    if (this.#ended || this.#error) return;
    const timer = setTimeout(() => this.abort(new CancelledError('The rest was not needed.')), 1_000);
    const next = (): void => {
      this.read().then(
        (chunk) => (chunk ? next() : clearTimeout(timer)),
        () => clearTimeout(timer),
      );
    };
    next();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#error) controller.abort(this.#error);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#head = { status, headers };
    this.#notify();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#error) return;
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes >= HIGH_WATER_BYTES) controller.pause();
    this.#notify();
  }

  onResponseEnd(): void {
    this.#ended = true;
    this.#notify();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#notify();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
