import type { CompletionEvent, StreamEvent, ToolCallDelta } from '../../gateway/completion.ts';

/** Shortest time between two deltas of one stream: an event on a WebSocket costs more than the text it carries. */
const DELTA_INTERVAL_MS = 20;

/** Characters after which a delta waits for its turn instead of growing. */
const DELTA_LIMIT = 65_536;

/** What several events of an upstream's stream said, in one piece. */
export interface Delta {
  type: 'delta';
  /** Of the last upstream event in it. */
  seq: number;
  text: string;
  reasoning: string;
  /** Fragments of the same tool call are joined. */
  toolCalls: readonly ToolCallDelta[];
  /** Of the answer so far; see `countTokens`. */
  outputTokens: number;
}

/** The part of an answer that a client has already. */
export interface Behind {
  /** Number of the first event that it does not have. */
  until: number;
  /** Called with each event that it has. */
  skip: (event: StreamEvent) => void;
}

const NOTHING: Behind = { until: 0, skip: () => undefined };

type CoalescedEvent = Delta | Extract<CompletionEvent, { type: 'started' | 'restarted' | 'finished' | 'failed' }>;

/**
 * Joins the `events` of a completion into deltas: the first at once, later ones at most one every `intervalMs`, the last
 * with the end of the stream. Reads from `source` only while somebody waits for an event, so a reader that stalls
 * stops the upstream. Whoever stops early also closes `source`.
 * @param behind leaves out the deltas of events that the client has
 */
export async function* coalesce(
  source: AsyncGenerator<CompletionEvent, void, undefined>,
  intervalMs: number = DELTA_INTERVAL_MS,
  behind: Behind = NOTHING,
): AsyncGenerator<CoalescedEvent, void, undefined> {
  const pending = new PendingDelta(behind);
  /** Until the next delta may go; null: it may. */
  let pause: Promise<null> | null = null;
  let reading: Promise<IteratorResult<CompletionEvent, void>> | null = null;
  try {
    while (true) {
      if (!pending.isEmpty && !pause) {
        pause = elapsed(intervalMs);
        yield pending.take();
        continue;
      }
      if (pause && pending.length >= DELTA_LIMIT) {
        pause = await pause;
        continue;
      }
      reading ??= source.next();
      const result = await (pause ? Promise.race([pause, reading]) : reading);
      if (!result) {
        pause = null;
        continue;
      }
      reading = null;
      if (!result.done && result.value.type === 'events') {
        pending.add(result.value.events);
        continue;
      }
      if (!result.done && result.value.type === 'restarted') pending.discard();
      if (!pending.isEmpty) yield pending.take();
      if (result.done) return;
      if (isPassedOn(result.value)) yield result.value;
    }
  } finally {
    await source.return();
  }
}

function isPassedOn(event: CompletionEvent): event is Exclude<CoalescedEvent, Delta> {
  return event.type !== 'admitted' && event.type !== 'events' && event.type !== 'body';
}

/** The delta that is being put together. */
class PendingDelta {
  #seq = -1;
  #text = '';
  #reasoning = '';
  #toolCalls = new Map<number, ToolCallDelta>();
  #argumentsLength = 0;
  #outputTokens = 0;
  readonly #behind: Behind;

  constructor(behind: Behind) {
    this.#behind = behind;
  }

  get length(): number {
    return this.#text.length + this.#reasoning.length + this.#argumentsLength;
  }

  get isEmpty(): boolean {
    return this.#text === '' && this.#reasoning === '' && this.#toolCalls.size === 0;
  }

  add(events: readonly StreamEvent[]): void {
    for (const event of events) {
      this.#outputTokens += countTokens(event);
      if (event.seq < this.#behind.until) {
        this.#behind.skip(event);
        continue;
      }
      this.#seq = event.seq;
      this.#text += event.text;
      this.#reasoning += event.reasoning;
      for (const fragment of event.toolCalls) this.#addToolCall(fragment);
    }
  }

  take(): Delta {
    const delta: Delta = {
      type: 'delta',
      seq: this.#seq,
      text: this.#text,
      reasoning: this.#reasoning,
      toolCalls: [...this.#toolCalls.values()],
      outputTokens: this.#outputTokens,
    };
    this.#text = '';
    this.#reasoning = '';
    this.#toolCalls = new Map();
    this.#argumentsLength = 0;
    return delta;
  }

  /** The answer begins anew. */
  discard(): void {
    this.take();
    this.#outputTokens = 0;
  }

  #addToolCall(fragment: ToolCallDelta): void {
    const { index, id, name } = fragment;
    const before = this.#toolCalls.get(index);
    this.#argumentsLength += fragment.arguments.length;
    this.#toolCalls.set(index, {
      index,
      id: id ?? before?.id ?? null,
      name: name ?? before?.name ?? null,
      arguments: (before?.arguments ?? '') + fragment.arguments,
    });
  }
}

/** Providers report usage only at the end. Until then an event is one token, and a long one a token per 4 characters. */
function countTokens(event: StreamEvent): number {
  const length =
    event.text.length +
    event.reasoning.length +
    event.toolCalls.reduce((sum, call) => sum + call.arguments.length + (call.name?.length ?? 0), 0);
  if (length === 0) return 0;
  return length <= 16 ? 1 : Math.round(length / 4);
}

function elapsed(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(resolve, ms, null));
}
