import { createHash } from 'node:crypto';
import type { CompletionReport, StreamEvent } from './completion.ts';
import type { WholeAnswer } from './relay.ts';
import { choiceOf, type Run } from './run.ts';

/** Requests and answers larger than this are not kept. */
const LARGEST_REQUEST = 1_048_576;
const LARGEST_ANSWER = 1_048_576;
/** About what an answer takes besides its texts. */
const ENTRY_BYTES = 1_024;
const EVENT_BYTES = 256;

/** Where an answer came from. */
export type Origin = Pick<CompletionReport, 'finishReason' | 'targetId'> & {
  providerId: string;
  provider: string;
  model: string;
};

/** A whole answer, as it was relayed. */
export interface CachedAnswer extends Origin {
  /** Null: it was not streamed. */
  events: readonly StreamEvent[] | null;
  usageEvent: string | null;
  /** Null: it was streamed. */
  body: WholeAnswer | null;
}

interface Entry {
  answer: CachedAnswer;
  routeId: string;
  expiresAt: number;
  bytes: number;
}

/** Gathers an answer while it is relayed, for the next one who asks the same. */
export class Recording {
  readonly key: string;
  readonly #events: StreamEvent[] = [];
  #bytes = ENTRY_BYTES;

  constructor(key: string) {
    this.key = key;
  }

  add(events: readonly StreamEvent[]): void {
    for (const event of events) {
      this.#bytes += event.data.length * 2 + EVENT_BYTES;
      if (this.#bytes <= LARGEST_ANSWER) this.#events.push(event);
    }
  }

  /** What came before it is void. */
  restart(): void {
    this.#events.length = 0;
    this.#bytes = ENTRY_BYTES;
  }

  /** Null: it is too large to be kept. */
  finish(
    body: WholeAnswer | null,
    usageEvent: string | null,
    origin: Origin,
  ): { answer: CachedAnswer; bytes: number } | null {
    const bytes = this.#bytes + (body?.body.length ?? 0) * 3;
    if (bytes > LARGEST_ANSWER) return null;
    return { answer: { ...origin, events: body ? null : this.#events, usageEvent, body }, bytes };
  }
}

/**
 * Answers of routes that have a response cache, by the exact bytes of the request. They serve the caller whose request
 * they answered and nobody else, as long as the route means the same. In memory, the least recently used go first.
 */
export class ResponseCache {
  readonly #mostBytes: number;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  /** @param mostBytes of all answers together */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /**
   * Begins to record the answer of a completion; null: its route has no cache, or the request is too large for it.
   * @param meaning names what the route means now
   */
  record(run: Run, meaning: string): Recording | null {
    const { caller, sandbox, operation } = run.request;
    const { bytes } = run.admitted.asked;
    if (!choiceOf(run.admitted)?.route?.cacheTtlSeconds || bytes.length > LARGEST_REQUEST) return null;
    const owner = caller.kind === 'ANONYMOUS' ? 'anonymous' : caller.account.id;
    const hash = createHash('sha256')
      .update(JSON.stringify([owner, meaning, operation, sandbox]))
      .update(bytes);
    return new Recording(hash.digest('base64'));
  }

  /** Null: there is none, or it is too old. */
  get({ key }: Recording, now = Date.now()): CachedAnswer | null {
    const entry = this.#entries.get(key);
    if (!entry) return null;
    this.#delete(key, entry);
    if (entry.expiresAt <= now) return null;
    this.#add(key, entry);
    return entry.answer;
  }

  /** Keeps what was recorded, if it is an answer that another one may get: complete, and not cut off at a limit. */
  put(recording: Recording, run: Run, body: WholeAnswer | null, usageEvent: string | null, origin: Origin): void {
    const route = choiceOf(run.admitted)?.route;
    const isWhole =
      run.request.operation === 'EMBEDDINGS' || origin.finishReason === 'stop' || origin.finishReason === 'tool_calls';
    const made = isWhole ? recording.finish(body, usageEvent, origin) : null;
    if (!made || !route?.cacheTtlSeconds || made.bytes > this.#mostBytes) return;
    const known = this.#entries.get(recording.key);
    if (known) this.#delete(recording.key, known);
    this.#add(recording.key, {
      ...{ answer: made.answer, bytes: made.bytes, routeId: route.id },
      expiresAt: Date.now() + route.cacheTtlSeconds * 1_000,
    });
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#delete(key, entry);
    }
  }

  /**
   * Forgets the answers of a route.
   * @returns how many there were
   */
  clear(routeId: string): number {
    let cleared = 0;
    for (const [key, entry] of this.#entries) {
      if (entry.routeId !== routeId) continue;
      this.#delete(key, entry);
      cleared++;
    }
    return cleared;
  }

  #add(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
  }

  #delete(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
