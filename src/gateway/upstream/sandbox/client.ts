import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { ErrorAnswer } from './failure.ts';

/** How a request ended: `aborted` by the client, `faulted` as it was asked for, or `refused` as wrong. */
export type Outcome = 'completed' | 'aborted' | 'faulted' | 'refused';

/** A longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The client's end of one response: what is written to it, and waits that end early when the client goes. */
export class Client {
  private readonly response: ServerResponse;
  private ownOutcome: Outcome | null = null;

  constructor(response: ServerResponse) {
    this.response = response;
  }

  /** Calls `listener` once, when the response is sent or its connection gone. */
  onEnd(listener: (outcome: Outcome) => void): void {
    this.response.once('close', () => {
      listener(this.ownOutcome ?? (this.response.writableFinished ? 'completed' : 'aborted'));
    });
  }

  get isGone(): boolean {
    return this.response.destroyed;
  }

  /** Headers and a whole body at once. */
  answer(
    status: number,
    body: string | Buffer,
    headers: OutgoingHttpHeaders = {},
    outcome: Outcome = 'completed',
  ): void {
    // Once an answer has begun, breaking it off is the only way left to tell that it failed.
    if (this.response.headersSent) this.cut();
    if (this.isGone) return;
    const length = Buffer.byteLength(body);
    this.response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers });
    this.end(body, outcome);
  }

  /** An error, and nothing else. */
  refuse({ status, body, headers }: ErrorAnswer, outcome: Outcome = 'refused'): void {
    this.answer(status, body, headers, outcome);
  }

  /** The headers of a 200. They leave with the first byte of the body, or at once if asked. */
  begin(headers: OutgoingHttpHeaders, atOnce: boolean): void {
    if (this.isGone) return;
    this.response.writeHead(200, headers);
    if (atOnce) this.response.flushHeaders();
  }

  /** Resolves once the socket takes more; false when the client has gone. */
  async write(text: string): Promise<boolean> {
    if (this.isGone) return false;
    if (this.response.write(text)) return true;
    return this.until((done) => {
      this.response.once('drain', done);
      return () => this.response.off('drain', done);
    });
  }

  /** Resolves when the operating system has the bytes; false when the client has gone. */
  async flush(text: string | Buffer): Promise<boolean> {
    return this.until((done) => {
      this.response.write(text, done);
      return () => {};
    });
  }

  end(text: string | Buffer, outcome: Outcome = 'completed'): void {
    if (this.isGone) return;
    if (outcome !== 'completed') this.ownOutcome = outcome;
    this.response.end(text);
  }

  /** Closes the connection, as a provider does that dies. */
  cut(): void {
    if (this.isGone) return;
    this.ownOutcome = 'faulted';
    this.response.req.socket.destroy();
  }

  /** Resets the connection (RST), as a proxy on the way does. */
  reset(): void {
    if (this.isGone) return;
    this.ownOutcome = 'faulted';
    this.response.req.socket.resetAndDestroy();
  }

  /** Resolves after `ms` milliseconds, with 0 at once; false when the client has gone. */
  async sleep(ms: number): Promise<boolean> {
    if (ms <= 0) return !this.isGone;
    return this.until((done) => {
      const timer = setTimeout(done, Math.min(ms, LONGEST_TIMER_MS));
      return () => clearTimeout(timer);
    });
  }

  /** Waits for what `arm` waits for, or for the end of the connection, and leaves no listener behind. */
  private until(arm: (done: () => void) => () => void): Promise<boolean> {
    if (this.isGone) return Promise.resolve(false);
    return new Promise((resolve) => {
      const done = () => {
        this.response.off('close', done);
        disarm();
        resolve(!this.isGone);
      };
      this.response.once('close', done);
      const disarm = arm(done);
    });
  }
}
