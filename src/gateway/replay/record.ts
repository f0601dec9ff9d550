import { CancelledError, PayloadTooLargeError, type SignalboxError } from '../../platform/errors.ts';
import type { CompletionEvent, StreamEvent } from '../completion.ts';
import { bytesOfAnswer, bytesOfEvent } from '../memory.ts';
import type { KeyName } from './caller-key.ts';

/** Characters of a streamed answer that are kept for those who read it again; one that comes whole is bounded as it is. */
const LARGEST_ANSWER = 16 * 1024 * 1024;
/** About what a record takes besides the answer: how it began and ended, and its attempts. */
const RECORD_BYTES = 4_096;
/** Of the upstream, told at once to a reader who is behind. */
const EVENTS_AT_ONCE = 256;

export type RecordedEvent = Exclude<CompletionEvent, { type: 'admitted' }>;

export interface RecordOptions {
  name: KeyName;
  fingerprint: string;
  /** The ledger's id. */
  requestId: string;
  isStreamed: boolean;
  /** How long it goes on while nobody reads it. */
  graceMs: number;
  /** Ends the completion. */
  stop: (reason: SignalboxError) => void;
}

/** What has happened of a completion, in order, for any number of readers, each at a place of their own. */
export class CompletionRecord {
  readonly name: KeyName;
  readonly fingerprint: string;
  readonly requestId: string;
  readonly isStreamed: boolean;
  readonly #graceMs: number;
  readonly #events: RecordedEvent[] = [];
  readonly #waiting = new Set<() => void>();
  #bytes = RECORD_BYTES;
  #characters = 0;
  #nextSeq = 0;
  #lastRestart = 0;
  #readers = 0;
  #grace: NodeJS.Timeout | null = null;
  #isOver = false;
  /** Null: it has ended, and what it took to run it is not held any longer. */
  #stop: RecordOptions['stop'] | null;

  constructor({ name, fingerprint, requestId, isStreamed, graceMs, stop }: RecordOptions) {
    this.name = name;
    this.fingerprint = fingerprint;
    this.requestId = requestId;
    this.isStreamed = isStreamed;
    this.#graceMs = graceMs;
    this.#stop = stop;
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get isRead(): boolean {
    return this.#readers > 0;
  }

  /** Number of the upstream's event that comes next. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  append(event: RecordedEvent): void {
    if (event.type === 'restarted') this.#lastRestart = this.#events.length;
    if (event.type === 'body') this.#bytes += bytesOfAnswer(event);
    if (event.type === 'events') this.#measure(event.events);
    this.#events.push(event);
    this.#wake();
  }

  /** Nothing more comes. */
  end(): void {
    this.#isOver = true;
    this.#stop = null;
    if (this.#grace) clearTimeout(this.#grace);
    this.#wake();
  }

  /** Somebody begins to read. */
  enter(): void {
    this.#readers += 1;
    if (this.#grace) clearTimeout(this.#grace);
    this.#grace = null;
  }

  /**
   * Somebody reads no longer. When it was the last one, a completion that runs ends.
   * @param reason a CancelledError: they cancelled it, and it ends at once. Everything else: they lost their connection,
   * and may come back until the grace is over
   */
  leave(reason: unknown): void {
    this.#readers -= 1;
    if (this.#readers > 0 || this.#isOver) return;
    if (reason instanceof CancelledError) {
      this.#stop?.(reason);
      return;
    }
    this.#grace = setTimeout(() => {
      const seconds = this.#graceMs / 1_000;
      this.#stop?.(
        new CancelledError(
          `The connection was lost, and for ${seconds} s nobody came back under its request id. To ask again, send a new id.`,
        ),
      );
    }, this.#graceMs).unref();
  }

  /**
   * Everything from the beginning, and what comes until the end.
   * @param fromLastRestart leaves out what a restart has made void
   * @param signal ends it, with a failure
   */
  async *read(fromLastRestart: boolean, signal?: AbortSignal): AsyncGenerator<RecordedEvent, void, undefined> {
    let next = fromLastRestart ? this.#lastRestart : 0;
    while (!signal?.aborted) {
      const event = this.#events[next];
      if (!event && this.#isOver) return;
      if (!event) {
        await this.#more(signal);
      } else if (event.type === 'events') {
        const batch = this.#batchAt(next);
        next += batch.length;
        yield batch.length === 1 ? event : { type: 'events', events: batch.flat() };
      } else {
        next += 1;
        yield event;
      }
    }
    const error = new CancelledError('The client left before the answer was complete.');
    yield { type: 'failed', error, report: null, requestId: this.requestId };
  }

  /** What the events from there on hold, up to what is enough at once. */
  #batchAt(start: number): (readonly StreamEvent[])[] {
    const batch: (readonly StreamEvent[])[] = [];
    let size = 0;
    for (let at = start; size < EVENTS_AT_ONCE; at += 1) {
      const event = this.#events[at];
      if (event?.type !== 'events') break;
      batch.push(event.events);
      size += event.events.length;
    }
    return batch;
  }

  #measure(events: readonly StreamEvent[]): void {
    for (const event of events) {
      this.#bytes += bytesOfEvent(event);
      this.#characters += event.data.length;
    }
    this.#nextSeq = (events.at(-1)?.seq ?? this.#nextSeq - 1) + 1;
    if (this.#characters > LARGEST_ANSWER)
      this.#stop?.(
        new PayloadTooLargeError('The answer to a request with a request id (Idempotency-Key)', LARGEST_ANSWER),
      );
  }

  #more(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
