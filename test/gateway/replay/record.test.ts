import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type StreamedEvent, streamCompletion } from '../../../src/control/completions/run.ts';
import type { Context } from '../../../src/control/schema/context.ts';
import type { AnswerHead, CompletionReport } from '../../../src/gateway/completion.ts';
import { CompletionRecord, type RecordedEvent } from '../../../src/gateway/replay/record.ts';
import { tell } from '../../../src/gateway/replay/tell.ts';
import { CancelledError, type SignalboxError, UpstreamError } from '../../../src/platform/errors.ts';
import { chunk } from '../../kit/upstream.ts';

const head = { requestId: 'id', provider: 'one', model: 'm' } as AnswerHead;
const report = { requestId: 'id', provider: 'one', model: 'm', usage: {} } as CompletionReport;
const brokenOff = new UpstreamError('It broke off.', { provider: 'one', upstreamStatus: null, attempts: 1 });

function recordOf(over: { graceMs?: number; stop?: (reason: SignalboxError) => void } = {}): CompletionRecord {
  const fixed = { name: { caller: 'me', key: 'k' }, fingerprint: '', requestId: 'id', isStreamed: true };
  return new CompletionRecord({ ...fixed, graceMs: 1_000, stop: () => undefined, ...over });
}

function textEvent(seq: number, text: string) {
  return { seq, data: JSON.stringify(chunk(text)), text, reasoning: '', toolCalls: [] };
}

/** What an upstream may bring: reads with some events each, and at most one restart. */
const story = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 }), fc.option(fc.nat({ max: 11 })))
  .map(([reads, restartBefore]): RecordedEvent[] => {
    let seq = 0;
    const events = reads.flatMap((size, at): RecordedEvent[] => [
      ...(restartBefore === at && at > 0 ? [{ type: 'restarted', head, error: brokenOff } as const] : []),
      { type: 'events', events: Array.from({ length: size }, () => textEvent(seq, `${seq++} `)) },
    ]);
    return [{ type: 'started', head }, ...events, { type: 'finished', report, usageEvent: null }];
  });

/** The text that somebody has who saw all of it, discarding what a restart makes void. */
function textOf(events: readonly RecordedEvent[]): string {
  const from = events.findLastIndex(({ type }) => type === 'restarted') + 1;
  return events
    .slice(from)
    .flatMap((event) => (event.type === 'events' ? event.events.map(({ text }) => text) : []))
    .join('');
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Appends the events with turns of the event loop between them. */
async function play(record: CompletionRecord, events: readonly RecordedEvent[], pauses: readonly number[]) {
  for (const [at, event] of events.entries()) {
    for (let left = pauses[at % pauses.length] ?? 0; left > 0; left -= 1) await turn();
    record.append(event);
  }
  record.end();
}

const pauses = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 8 });

describe('readers of a completion', () => {
  test('each get everything in order, once, whenever they come and however slow they are', async () => {
    await fc.assert(
      fc.asyncProperty(
        story,
        pauses,
        fc.array(fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 3 })), { maxLength: 5 }),
        async (events, pace, readers) => {
          const record = recordOf();
          const read = async ([comesAfter, slowness]: [number, number]) => {
            for (let left = comesAfter; left > 0; left -= 1) await turn();
            const seen: RecordedEvent[] = [];
            for await (const event of record.read(false)) {
              seen.push(event);
              for (let left = slowness; left > 0; left -= 1) await turn();
            }
            return seen;
          };
          const playing = play(record, events, pace);
          const all = await Promise.all(readers.map(read));
          await playing;
          const flat = (list: readonly RecordedEvent[]): unknown[] =>
            list.flatMap((event): unknown => (event.type === 'events' ? event.events : event));
          for (const seen of all) expect(flat(seen)).toEqual(flat(events));
        },
      ),
      { numRuns: 150 },
    );
  });

  test('who are cut off and go on from what they have, have the whole in order, once', async () => {
    await fc.assert(
      fc.asyncProperty(story, pauses, fc.array(fc.nat({ max: 6 }), { maxLength: 6 }), async (events, pace, cuts) => {
        const record = recordOf();
        const playing = play(record, events, pace);
        const seqs: number[] = [];
        let text = '';
        let last: StreamedEvent | undefined;
        for (const takes of [...cuts, Number.POSITIVE_INFINITY]) {
          let taken = 0;
          for await (const event of follow(record, (seqs.at(-1) ?? -1) + 1)) {
            // What comes now, and is not taken, is lost with the connection.
            if (taken++ >= takes) break;
            last = event;
            if (event.type === 'restarted') text = '';
            if (event.type === 'delta') seqs.push(event.seq);
            if (event.type === 'delta') text += event.text;
          }
        }
        await playing;
        expect(text).toBe(textOf(events));
        expect(seqs).toEqual([...new Set(seqs)].sort((one, other) => one - other));
        expect(last).toMatchObject({ type: 'finished', answer: { text: textOf(events) } });
      }),
      { numRuns: 150 },
    );
  });

  test('who cannot discard what they have fail when it begins anew, and begin behind that when they come later', async () => {
    const record = recordOf();
    const wish = { isStreamed: true, wantsUsage: false, acceptsRestart: false };
    const read = async () => {
      const seen: string[] = [];
      for await (const event of tell(record, wish))
        seen.push(event.type === 'events' ? event.events.map((one) => one.text).join('') : event.type);
      return seen;
    };
    record.append({ type: 'started', head });
    record.append({ type: 'events', events: [textEvent(0, 'void')] });
    const early = read();
    await turn();
    record.append({ type: 'restarted', head, error: brokenOff });
    record.append({ type: 'events', events: [textEvent(1, 'valid')] });
    record.append({ type: 'finished', report, usageEvent: null });
    record.end();
    expect(await early).toEqual(['admitted', 'started', 'void', 'failed']);
    expect(await read()).toEqual(['admitted', 'started', 'valid', 'finished']);
  });

  test('that stall or leave hold up nobody and keep nothing waiting', async () => {
    const record = recordOf();
    const left = new AbortController();
    const stalled = record.read(false);
    const leaving = record.read(false, left.signal).next();
    const following = record.read(false);
    record.append({ type: 'started', head });
    await stalled.next();
    await leaving;
    left.abort();
    const gone = record.read(false, left.signal);
    expect((await gone.next()).value).toMatchObject({ type: 'failed', error: { code: 'CANCELLED' } });
    const events = Array.from(
      { length: 10_000 },
      (_, seq): RecordedEvent => ({ type: 'events', events: [textEvent(seq, 'x')] }),
    );
    for (const event of events) record.append(event);
    record.end();
    let count = 0;
    for await (const event of following) if (event.type === 'events') count += event.events.length;
    expect(count).toBe(10_000);
  });
});

describe('a completion that runs ends', () => {
  const read = (record: CompletionRecord, reason?: unknown) => {
    record.enter();
    record.leave(reason);
  };

  test('at once when its only reader cancels, and after the grace when they are lost', async () => {
    const reasons: string[] = [];
    const stop = (reason: SignalboxError) => void reasons.push(reason.message);
    read(recordOf({ graceMs: 20, stop }), new CancelledError('cancelled'));
    expect(reasons).toEqual(['cancelled']);
    read(recordOf({ graceMs: 20, stop }));
    expect(reasons).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(reasons).toEqual(['cancelled', expect.stringContaining('connection was lost')]);
  });

  test('not when somebody comes back within the grace, nor when it is over', async () => {
    let stops = 0;
    const stop = () => {
      stops += 1;
    };
    const record = recordOf({ graceMs: 20, stop });
    read(record);
    record.enter();
    const ended = recordOf({ graceMs: 20, stop });
    read(ended);
    ended.end();
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(stops).toBe(0);
  });

  test('when its answer becomes larger than 16 MiB', () => {
    const reasons: SignalboxError[] = [];
    const record = recordOf({ stop: (reason) => void reasons.push(reason) });
    for (let seq = 0; seq < 17; seq += 1) {
      expect(reasons).toEqual([]);
      record.append({ type: 'events', events: [textEvent(seq, 'x'.repeat(1_048_576))] });
      if (seq >= 15) break;
    }
    expect(reasons).toMatchObject([{ code: 'PAYLOAD_TOO_LARGE', limitBytes: 16_777_216 }]);
  });
});

/** As a subscription that begins to read at `resumeFrom`. */
function follow(record: CompletionRecord, resumeFrom: number): AsyncGenerator<StreamedEvent, void, undefined> {
  const complete = () => tell(record, { isStreamed: true, wantsUsage: false, acceptsRestart: true });
  const context = { requestId: 'x', services: { gateway: { complete } } } as unknown as Context;
  const messages = [{ role: 'USER' as const, content: 'Hi' }];
  return streamCompletion(context, { messages, requestId: 'k', resumeFrom });
}
