import type { Answer } from './answer.ts';
import { failureOfAnswer } from './at-once.ts';
import type { Client } from './client.ts';
import type { SandboxRequest } from './request.ts';
import { placeOf, stepsOf } from './steps.ts';
import { type Tally, tallyUp } from './tally.ts';

/** How the events of a stream end: as they should, or as a fault has it. */
type Ending = 'whole' | 'end' | 'cut' | 'stall';

/** What is not written yet when the events are over. */
interface Tail {
  rest: string;
  ending: Ending;
  /** Whether nothing was written before it. */
  isAll: boolean;
}

export const SSE_HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };
/** Events are written together up to this size where no pace is asked for. */
const BATCH_CHARACTERS = 16_384;

/**
 * Streams an answer as server-sent events, about one per token, made only as fast as the client reads them.
 * The headers leave with the first event, or at once where that is asked to be late.
 * @returns the body, if it was short enough to be sent whole at once, else null.
 */
export async function streamAnswer(answer: Answer, request: SandboxRequest, client: Client): Promise<Buffer | null> {
  const { firstTokenMs, controls } = request;
  client.begin(SSE_HEADERS, firstTokenMs > 0);
  if (!(await client.sleep(firstTokenMs))) return null;

  const events = script(answer, request);
  const perSecond = controls.tokensPerSecond ?? 0;
  const tail = await (perSecond > 0 ? paced(events, perSecond, client) : eager(events, client));
  if (tail === null) return null;
  const rest = Buffer.from(tail.rest);
  if (tail.ending === 'whole') {
    client.end(rest);
    return tail.isAll ? rest : null;
  }
  if (tail.ending === 'end') client.end(rest, 'faulted');
  else if ((await client.flush(rest)) && tail.ending === 'cut') client.cut();
  return null;
}

/** @returns null when the client has gone. */
async function eager(events: Generator<string, Ending>, client: Client): Promise<Tail | null> {
  let batch = '';
  let isAll = true;
  for (let next = events.next(); ; next = events.next()) {
    if (next.done) return { rest: batch, ending: next.value, isAll };
    batch += next.value;
    if (batch.length < BATCH_CHARACTERS) continue;
    if (!(await client.write(batch))) return null;
    batch = '';
    isAll = false;
  }
}

/**
 * One event at once, then `perSecond` of them; those for which a timer or the client is late come in one write.
 * @returns null when the client has gone.
 */
async function paced(events: Generator<string, Ending>, perSecond: number, client: Client): Promise<Tail | null> {
  const startedAt = performance.now();
  for (let made = 0; ; ) {
    const due = 1 + Math.floor(((performance.now() - startedAt) * perSecond) / 1000);
    let batch = '';
    for (; made < due && batch.length < BATCH_CHARACTERS; made++) {
      const next = events.next();
      if (next.done) return { rest: batch, ending: next.value, isAll: false };
      batch += next.value;
    }
    if (batch && !(await client.write(batch))) return null;
    if (!(await client.sleep(startedAt + (made * 1000) / perSecond - performance.now()))) return null;
  }
}

/** The events of an answer in their order, with its fault in its place. */
function* script(answer: Answer, { voice, controls, fault }: SandboxRequest): Generator<string, Ending> {
  const tally: Tally = { completion: 0, reasoning: 0 };
  const write = voice.openStream(answer, tally);
  if (fault === 'error-event') {
    yield write.error(failureOfAnswer(controls, 'failed before the first token'));
    return 'end';
  }
  let faultAt = placeOf(fault, answer, controls.faultAfter);
  const open = new Set(answer.choices.keys());
  yield* write.begin();

  for (const { choice, run, finish } of stepsOf(answer, faultAt)) {
    if (tally.completion === faultAt) {
      if (fault === 'stall' || fault === 'cut' || fault === 'end') return fault;
      if (fault === 'mid-error') {
        yield write.error(failureOfAnswer(controls, 'failed in the middle of its answer'));
        return 'end';
      }
      if (fault === 'content-filter') break;
      yield write.malformed();
      faultAt = null;
    }
    if (run) {
      for (const token of run.tokens) {
        tallyUp(tally, run, 1);
        yield write.token(choice, run, token);
      }
    } else {
      open.delete(choice);
      yield write.finish(choice, finish);
    }
  }

  for (const choice of open) yield write.finish(choice, { reason: 'content_filter', stopSequence: null });
  const last = write.end() + (fault === 'no-done' ? '' : write.done);
  if (last) yield last;
  return 'whole';
}
