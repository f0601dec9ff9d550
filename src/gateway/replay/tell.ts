import type { CompletionEvent } from '../completion.ts';
import { asChunks } from './as-chunks.ts';
import { Assembly } from './assembly.ts';
import type { CompletionRecord, RecordedEvent } from './record.ts';

/** How somebody wants a completion told, however it was asked for at first. */
export interface Wish {
  isStreamed: boolean;
  /** The usage at the end of the stream. */
  wantsUsage: boolean;
  /** They can discard what they have when the answer begins anew. */
  acceptsRestart: boolean;
  /** Aborts when they leave. */
  signal?: AbortSignal;
}

type Events = AsyncGenerator<RecordedEvent, void, undefined>;
type Told = AsyncGenerator<CompletionEvent, void, undefined>;

/** Tells a recorded completion from the beginning, and as it goes on. */
export async function* tell(record: CompletionRecord, wish: Wish): Told {
  const { requestId } = record;
  const { isStreamed, wantsUsage, acceptsRestart, signal } = wish;
  const isInKind = record.isStreamed === isStreamed;
  record.enter();
  try {
    yield { type: 'admitted', requestId, isStreamed, wantsUsage };
    const events = record.read(!(isInKind && acceptsRestart), signal);
    if (!isInKind) yield* isStreamed ? streamed(events) : whole(events);
    else if (acceptsRestart) yield* events;
    else yield* withoutRestart(events, requestId);
  } finally {
    record.leave(signal?.reason);
  }
}

/** To somebody who cannot discard what they have: once they have something, that the answer begins anew is a failure. */
async function* withoutRestart(events: Events, requestId: string): Told {
  let hasSome = false;
  for await (const event of events) {
    if (event.type !== 'restarted') {
      yield event;
    } else if (hasSome) {
      yield { type: 'failed', error: event.error, report: null, requestId };
      return;
    } else {
      yield { type: 'started', head: event.head };
    }
    hasSome ||= event.type === 'events';
  }
}

async function* whole(events: Events): Told {
  let answer = new Assembly();
  for await (const event of events) {
    if (event.type === 'restarted') answer = new Assembly();
    if (event.type === 'events') for (const { data } of event.events) answer.add(data);
    if (event.type === 'finished') yield { type: 'body', ...answer.finish(event.report, event.usageEvent) };
    if (event.type === 'restarted') yield { type: 'started', head: event.head };
    else if (event.type !== 'events') yield event;
  }
}

async function* streamed(events: Events): Told {
  let usageEvent: string | null = null;
  for await (const event of events) {
    if (event.type === 'body') {
      const chunks = asChunks(event.body);
      usageEvent = chunks.usageEvent;
      yield { type: 'events', events: chunks.events };
    } else {
      yield event.type === 'finished' ? { ...event, usageEvent } : event;
    }
  }
}
