import type { SignalboxError } from '../platform/errors.ts';
import { CancelledError, ContentFilterError, UpstreamError, UpstreamTimeoutError } from '../platform/errors.ts';
import type { Attempt } from './attempt.ts';
import type { StreamEvent } from './completion.ts';
import { type Chunk, chunkOf, isMeaningful } from './upstream/chunk.ts';
import { type DialectCall, MalformedAnswer, type Piece, type StreamReader } from './upstream/dialect.ts';
import { type AttemptPlace, type Failure, readBreak, readFailure } from './upstream/failure.ts';
import { SseReader } from './upstream/sse.ts';
import type { Exchange } from './upstream/transport.ts';
import { DeadlineError, type Watchdog } from './upstream/watchdog.ts';

/** Answers that are not streamed are buffered up to this size. */
const LARGEST_ANSWER = 16 * 1024 * 1024;
/** As much of an error's body as is read. */
export const LARGEST_ERROR = 64 * 1024;
/** Events that say nothing yet, kept until the first one that does. */
const MOST_HELD_EVENTS = 1_000;
const MOST_HELD_CHARACTERS = 4 * 1024 * 1024;

/** The answer broke off or never came. */
export class RelayFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

export interface RelayRules {
  stallMs: number;
  /** Number of the first event. */
  firstSeq: number;
  /** An answer that holds nothing but a refusal counts as a failure, so that another target is asked. */
  passesOnRefusals: boolean;
}

/** An answer in the OpenAI dialect, and what it says. */
export interface WholeAnswer {
  body: Buffer;
  chunk: Chunk;
}

/**
 * The whole answer, not streamed.
 * @throws RelayFailure
 */
export async function receiveBody(
  exchange: Exchange,
  call: DialectCall,
  attempt: Attempt,
  { passesOnRefusals }: Pick<RelayRules, 'passesOnRefusals'>,
): Promise<WholeAnswer> {
  await receiveHead(exchange, attempt);
  const body = await readAll(exchange, LARGEST_ANSWER);
  if (!body) throw brokenBy(attempt, 'sent an answer larger than 16 MiB');
  const text = body.toString('utf8');
  const { data, chunk } = call.readAnswer(text);
  if (chunk.error !== null) throw failureIn({ data, chunk }, attempt);
  attempt.note(chunk);
  if (passesOnRefusals && isRefusal(chunk)) throw refusedBy(attempt);
  return { body: data === text ? body : Buffer.from(data), chunk };
}

/** Events of one read, and the usage event once it came. */
export interface StreamPart {
  events: StreamEvent[];
  usageEvent: string | null;
}

/**
 * The answer as a stream: one part for each read of the upstream that brought something. Nothing is yielded before the
 * first meaningful event, so that until then another provider can take over unseen. The next read happens when the next
 * part is asked for: a client that does not read stops the provider.
 * @throws RelayFailure also when the stream ends without a finish reason
 */
export async function* receiveStream(
  exchange: Exchange,
  reader: StreamReader,
  attempt: Attempt,
  watchdog: Watchdog,
  rules: RelayRules,
): AsyncGenerator<StreamPart, void, undefined> {
  await receiveHead(exchange, attempt);
  const sse = new SseReader();
  let held: StreamEvent[] = [];
  let isHolding = true;
  let heldCharacters = 0;
  let isFirst = true;
  let seq = rules.firstSeq;
  for (let isOver = false; !isOver; ) {
    if (!isHolding) watchdog.arm('STALL', rules.stallMs);
    const bytes = await readUnlessFinished(exchange, reader);
    if (!isHolding) watchdog.disarm();
    if (isFirst && bytes && isJson(bytes)) throw await refuseBody(exchange, bytes, attempt);
    isFirst = false;
    const events: StreamEvent[] = held;
    let usageEvent: string | null = null;
    let failure: RelayFailure | null = null;
    isOver = bytes === null;
    for (const { data, chunk } of piecesOf(bytes ? sse.push(bytes) : sse.end(), reader, isOver)) {
      if (chunk.error !== null) {
        failure = failureIn({ data, chunk }, attempt);
        break;
      }
      attempt.note(chunk);
      if (chunk.isUsageOnly) {
        usageEvent = data;
        continue;
      }
      if (isHolding && isMeaningful(chunk)) {
        if (rules.passesOnRefusals && isRefusal(chunk)) throw refusedBy(attempt);
        isHolding = false;
        watchdog.disarm();
        attempt.firstTokenAt = Date.now();
      } else if (isHolding) heldCharacters += data.length;
      events.push({ seq: seq++, data, text: chunk.text, reasoning: chunk.reasoning, toolCalls: chunk.toolCalls });
    }
    isOver ||= reader.isDone;
    if (isHolding && (events.length > MOST_HELD_EVENTS || heldCharacters > MOST_HELD_CHARACTERS))
      throw brokenBy(attempt, 'sent a thousand events, or 4 MiB of them, without content');
    held = isHolding ? events : [];
    if (!isHolding && (events.length > 0 || usageEvent)) yield { events, usageEvent };
    if (failure) throw failure;
  }
  if (!reader.isFinished) throw brokenBy(attempt, 'ended the stream without a finish reason');
  exchange.drain();
}

/** Nothing but a refusal for the content; of an answer that was not streamed, also what came before it. */
function isRefusal({ finishReasons }: Chunk): boolean {
  return finishReasons.length > 0 && finishReasons.every(({ reason }) => reason === 'content_filter');
}

function refusedBy(attempt: Attempt): RelayFailure {
  const error = new ContentFilterError(`${attempt.place.provider} refused to answer this.`);
  const { upstreamStatus } = attempt;
  return new RelayFailure({ error, remedy: 'NONE', key: null, retryAfterMs: null, upstreamStatus });
}

/** An error that stands where an answer should. It may say what was used up all the same. */
function failureIn({ data, chunk }: Piece, attempt: Attempt): RelayFailure {
  if (chunk.usage) attempt.note(chunkOf({ usage: chunk.usage, model: chunk.model }));
  return new RelayFailure(readFailure(200, {}, data, attempt.place));
}

/** What the events of one read amount to; with the last of them, what was kept back. */
function* piecesOf(events: readonly string[], reader: StreamReader, isLast: boolean): Generator<Piece> {
  for (const data of events) {
    yield* reader.push(data);
    if (reader.isDone) break;
  }
  if (isLast || reader.isDone) yield* reader.end();
}

/** What a thrown value means for the attempt. `cancelled` is what the completion was aborted with, if it was. */
export function toFailure(thrown: unknown, attempt: Attempt, cancelled: SignalboxError | null): Failure {
  const { upstreamStatus } = attempt;
  if (cancelled) return { error: cancelled, remedy: 'NONE', key: null, retryAfterMs: null, upstreamStatus };
  if (thrown instanceof RelayFailure) return thrown.failure;
  if (thrown instanceof MalformedAnswer) return brokenBy(attempt, thrown.message).failure;
  return toBreak(thrown, attempt.place, upstreamStatus);
}

/** What it means that a call ended without an answer, or in the middle of one. */
export function toBreak(thrown: unknown, place: AttemptPlace, upstreamStatus: number | null): Failure {
  if (thrown instanceof CancelledError)
    return { error: thrown, remedy: 'NONE', key: null, retryAfterMs: null, upstreamStatus };
  if (thrown instanceof DeadlineError)
    return { error: deadline(thrown, place), remedy: 'OTHER_TARGET', key: null, retryAfterMs: null, upstreamStatus };
  return readBreak(thrown, place, upstreamStatus);
}

/** No line of an event stream begins like this. */
function isJson(bytes: Buffer): boolean {
  return /^\s*\{/.test(bytes.toString('latin1', 0, 100));
}

/** A body although a stream was asked for: mostly an error behind a 200. */
async function refuseBody(exchange: Exchange, first: Buffer, attempt: Attempt): Promise<RelayFailure> {
  const rest = await readAll(exchange, LARGEST_ERROR);
  const text = Buffer.concat([first, rest ?? Buffer.alloc(0)]).toString('utf8');
  const isError = /"error"\s*:\s*[{"]/.test(text);
  return isError
    ? new RelayFailure(readFailure(200, {}, text, attempt.place))
    : brokenBy(attempt, 'sent an answer that is no stream');
}

async function receiveHead(exchange: Exchange, attempt: Attempt): Promise<void> {
  const { status, headers } = await exchange.head();
  attempt.upstreamStatus = status;
  if (status >= 200 && status < 300) return;
  const body = await readAll(exchange, LARGEST_ERROR).catch(() => null);
  throw new RelayFailure(readFailure(status, headers, body?.toString('utf8') ?? '', attempt.place));
}

/** Once the answer is whole, a connection that breaks in place of `[DONE]` takes nothing away from it. */
async function readUnlessFinished(exchange: Exchange, reader: StreamReader): Promise<Buffer | null> {
  try {
    return await exchange.read();
  } catch (error) {
    if (reader.isFinished && !(error instanceof DeadlineError)) return null;
    throw error;
  }
}

/** The whole body; null: it is larger than that. */
export async function readAll(exchange: Exchange, limit: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for (let chunk = await exchange.read(); chunk; chunk = await exchange.read()) {
    length += chunk.length;
    if (length > limit) return null;
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

function brokenBy(attempt: Attempt, what: string): RelayFailure {
  const { provider, attempt: attempts } = attempt.place;
  const upstreamStatus = attempt.upstreamStatus;
  const error = new UpstreamError(`${provider} ${what}.`, { provider, upstreamStatus, attempts });
  return new RelayFailure({ error, remedy: 'OTHER_TARGET', key: null, retryAfterMs: null, upstreamStatus });
}

function deadline({ timeout, limitMs }: DeadlineError, place: AttemptPlace): UpstreamTimeoutError {
  const { provider, attempt: number } = place;
  const seconds = limitMs / 1000;
  const message = {
    CONNECT: `${provider} could not be reached within ${seconds} s.`,
    FIRST_TOKEN: `${provider} sent no token within ${seconds} s.`,
    STALL: `${provider} stopped in the middle of its answer for ${seconds} s.`,
    TOTAL: `${provider} did not finish within ${seconds} s.`,
  }[timeout];
  return new UpstreamTimeoutError(message, timeout, number);
}
