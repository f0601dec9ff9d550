import type { AnswerHead, CompletionReport, CompletionRequest, StreamEvent } from '../../gateway/completion.ts';
import type { Chunk } from '../../gateway/upstream/chunk.ts';
import { type SignalboxError, ValidationError } from '../../platform/errors.ts';
import type { Context } from '../schema/context.ts';
import { coalesce, type Delta } from './coalesce.ts';
import type { CompletionInput } from './input.ts';
import { toOpenAI } from './to-openai.ts';
import { type Answer, Transcript, wholeAnswer } from './transcript.ts';

/** Who asks, and the signal that aborts when they leave. */
type Caller = Pick<Context, 'caller' | 'signal' | 'requestId'> & { services: Pick<Context['services'], 'gateway'> };

/**
 * One event of a streamed completion: `started`, any number of deltas, then `finished` or `failed`. `restarted` makes void
 * what came before it.
 */
export type StreamedEvent =
  | { type: 'started'; head: AnswerHead }
  | { type: 'restarted'; head: AnswerHead; error: SignalboxError }
  | Delta
  | { type: 'finished'; answer: Answer }
  | { type: 'failed'; error: SignalboxError; report: CompletionReport | null; requestId: string };

/**
 * Makes a completion and returns its whole answer. Stops the upstream call when the client leaves; under a request id of
 * the caller's, as the gateway's `CompletionRequest` says.
 * @throws SignalboxError: ValidationError for the input, and what the gateway fails with.
 */
export async function complete(context: Caller, input: CompletionInput): Promise<Answer> {
  let head: AnswerHead | null = null;
  let chunk: Chunk | null = null;
  for await (const event of context.services.gateway.complete(toRequest(context, input, false))) {
    if (event.type === 'failed') throw event.error;
    if (event.type === 'started') head = event.head;
    if (event.type === 'body') chunk = event.chunk;
    if (event.type === 'finished' && head && chunk) return wholeAnswer(chunk, head, event.report);
  }
  throw new Error('A completion ended without an answer and without a failure.');
}

/** Makes a completion and yields its answer as it comes. Every expected failure is its last event. */
export async function* streamCompletion(
  context: Caller,
  input: CompletionInput,
): AsyncGenerator<StreamedEvent, void, undefined> {
  const request = tryToRequest(context, input);
  if (request instanceof ValidationError) {
    yield { type: 'failed', error: request, report: null, requestId: context.requestId };
    return;
  }
  const { resumeFrom = 0 } = request;
  /** Number of the next event of the answer. */
  let seq = 0;
  let transcript = new Transcript();
  let head: AnswerHead | null = null;
  const skip = (event: StreamEvent) => {
    seq = event.seq + 1;
    transcript.add(event);
  };
  const events = context.services.gateway.complete(request);
  for await (const event of coalesce(events, undefined, { until: resumeFrom, skip })) {
    if (event.type === 'started' || event.type === 'restarted') head = event.head;
    if (event.type === 'restarted') transcript = new Transcript();
    if (event.type === 'delta') {
      seq = event.seq + 1;
      transcript.add(event);
    }
    if (event.type === 'finished') {
      if (head) yield { type: 'finished', answer: transcript.finish(head, event.report) };
    } else if (seq >= resumeFrom || event.type === 'failed') {
      yield event;
    }
  }
}

function tryToRequest(context: Caller, input: CompletionInput): CompletionRequest | ValidationError {
  try {
    return toRequest(context, input, true);
  } catch (error) {
    if (error instanceof ValidationError) return error;
    throw error;
  }
}

function toRequest({ caller, signal }: Caller, input: CompletionInput, isStreamed: boolean): CompletionRequest {
  const asked = toOpenAI(input, isStreamed);
  return { caller, door: 'GRAPHQL', operation: 'CHAT', signal, sandbox: null, acceptsRestart: true, ...asked };
}
