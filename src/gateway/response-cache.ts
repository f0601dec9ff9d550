import { cacheKeyOf } from './cache-key.ts';
import type { CompletionReport, StreamEvent } from './completion.ts';
import { bytesOfAnswer, bytesOfEvent, charactersOf } from './memory.ts';
import type { WholeAnswer } from './relay.ts';
import { choiceOf, type Run } from './run.ts';

/** Larger requests are not looked up: their answers are rarely asked for again. */
const LARGEST_REQUEST = 1_048_576;
/** Of memory; a streamed answer takes less than a kilobyte for a token. */
const LARGEST_ANSWER = 8 * 1_048_576;

/** Where an answer came from, and what of the request it did not heed. */
export type Origin = Pick<CompletionReport, 'finishReason' | 'targetId' | 'warnings'> & {
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
  /** How often the cache had been cleared when it began. */
  readonly generation: number;
  readonly #reserve: (bytes: number) => boolean;
  #events: StreamEvent[] = [];
  #bytes = 0;
  #isTooLarge = false;

  /** @param reserve takes memory from the cache's, or gives it back; false: there is not that much */
  constructor(key: string, generation: number, reserve: (bytes: number) => boolean) {
    this.key = key;
    this.generation = generation;
    this.#reserve = reserve;
  }

  add(events: readonly StreamEvent[]): void {
    for (const event of events) {
      const bytes = bytesOfEvent(event);
      if (this.#isTooLarge) return;
      if (this.#bytes + bytes > LARGEST_ANSWER || !this.#reserve(bytes)) {
        this.release();
        this.#isTooLarge = true;
        return;
      }
      this.#bytes += bytes;
      this.#events.push(event);
    }
  }

  /** What came before it is void. */
  restart(): void {
    this.release();
    this.#isTooLarge = false;
  }

  /** The memory that it takes, and what it gathered, are not needed any more. */
  release(): void {
    this.#reserve(-this.#bytes);
    this.#bytes = 0;
    this.#events = [];
  }

  /** Null: it is too large to be kept. */
  finish(
    body: WholeAnswer | null,
    usageEvent: string | null,
    origin: Origin,
  ): { answer: CachedAnswer; bytes: number } | null {
    const texts = charactersOf([usageEvent ?? '', ...origin.warnings]);
    const bytes = this.#bytes + texts * 2 + bytesOfAnswer(body);
    if (this.#isTooLarge || bytes > LARGEST_ANSWER) return null;
    // Where another target began anew, they were not counted from 0.
    const events = this.#events.map((event, seq) => (event.seq === seq ? event : { ...event, seq }));
    return { answer: { ...origin, events: body ? null : events, usageEvent, body }, bytes };
  }
}

/**
 * Answers of routes that have a response cache, by the exact bytes of the request. They serve the caller whose request
 * they answered and nobody else, as long as the route means the same. In memory, the least recently used go first.
 */
export class ResponseCache {
  readonly #mostBytes: number;
  readonly #entries = new Map<string, Entry>();
  /** Of what is kept, and of what is being recorded. */
  #bytes = 0;
  #generation = 0;

  /** @param mostBytes of all answers together */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Begins to record the answer of a completion; null: it is none that is kept. */
  record(run: Run): Recording | null {
    const { asked } = run.admitted;
    const choice = choiceOf(run.admitted);
    if (!choice?.route?.cacheTtlSeconds || asked.bytes.length > LARGEST_REQUEST) return null;
    // Of several choices only the first is looked at, and another one may have been cut off.
    if ('chat' in asked && (asked.chat.n ?? 1) > 1) return null;
    return new Recording(cacheKeyOf(run, choice), this.#generation, (bytes) => this.#reserve(bytes));
  }

  /** Null: there is none, or it is too old. */
  get({ key }: Recording, now = Date.now()): CachedAnswer | null {
    const entry = this.#entries.get(key);
    if (!entry) return null;
    if (entry.expiresAt <= now) {
      this.#delete(key, entry);
      return null;
    }
    // Behind all others: it was used last.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.answer;
  }

  /** Keeps what was recorded, if it is an answer that another one may get: complete, and not cut off at a limit. */
  put(recording: Recording, run: Run, body: WholeAnswer | null, usageEvent: string | null, origin: Origin): void {
    const route = choiceOf(run.admitted)?.route;
    const isWhole =
      run.request.operation === 'EMBEDDINGS' || origin.finishReason === 'stop' || origin.finishReason === 'tool_calls';
    // What was cleared meanwhile may be what it answers for.
    const isCurrent = recording.generation === this.#generation;
    const made = isWhole && isCurrent ? recording.finish(body, usageEvent, origin) : null;
    recording.release();
    if (!made || !route?.cacheTtlSeconds || made.bytes > this.#mostBytes) return;
    const known = this.#entries.get(recording.key);
    if (known) this.#delete(recording.key, known);
    if (!this.#reserve(made.bytes)) return;
    this.#entries.set(recording.key, {
      ...{ answer: made.answer, bytes: made.bytes, routeId: route.id },
      expiresAt: Date.now() + route.cacheTtlSeconds * 1_000,
    });
  }

  /**
   * Forgets the answers of a route.
   * @returns how many there were
   */
  clear(routeId: string): number {
    let cleared = 0;
    this.#generation++;
    for (const [key, entry] of this.#entries) {
      if (entry.routeId !== routeId) continue;
      this.#delete(key, entry);
      cleared++;
    }
    return cleared;
  }

  /** False: there is not that much, even without all that is kept. */
  #reserve(bytes: number): boolean {
    this.#bytes += bytes;
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#mostBytes) return true;
      this.#delete(key, entry);
    }
    if (this.#bytes <= this.#mostBytes || bytes <= 0) return true;
    this.#bytes -= bytes;
    return false;
  }

  #delete(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
