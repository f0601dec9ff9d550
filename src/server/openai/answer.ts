import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { conflictingRequest } from '../../control/completions/completions.ts';
import type { Services } from '../../control/schema/context.ts';
import type { Caller } from '../../gateway/admission/caller.ts';
import type { AnswerHead, CompletionEvent, CompletionReport, CompletionRequest } from '../../gateway/completion.ts';
import type { Operation } from '../../gateway/ledger/records.ts';
import { CALLER_KEY, CALLER_KEY_RULE } from '../../gateway/replay/replay.ts';
import { POWER_LEVELS } from '../../gateway/routing/power-level.ts';
import { ConflictError, invalid, type SignalboxError } from '../../platform/errors.ts';
import { toUsd } from '../../platform/money.ts';
import { retryHeaders, toOpenAIError, toOpenAIRecord } from './errors.ts';
import { addHead, addReport, type Headers } from './headers.ts';

/** While a client has its headers but no event yet, a comment this often keeps proxies from giving up. */
const PING_MS = 10_000;

type Wishes = Pick<CompletionRequest, 'powerLevel' | 'sessionKey' | 'acceptsRestart' | 'key'>;

/** What the door knows of a call when it hands it over. */
export interface OpenAICall {
  requestId: string;
  caller: Caller;
  operation: Operation;
  body: Buffer;
  wishes: Wishes;
  /** Headers that every answer to it carries (rate limits, CORS); the answer's own are added to them. */
  headers: Headers;
}

/**
 * `POST /v1/chat/completions`, streamed or not, and `POST /v1/embeddings`: writes what the gateway yields in the words of
 * the OpenAI API.
 */
export async function answerOpenAICall(
  request: IncomingMessage,
  response: ServerResponse,
  call: OpenAICall,
  services: Services,
): Promise<void> {
  const sandbox = request.headers['x-sandbox'];
  const lost = call.wishes.key === undefined ? null : new AbortController();
  response.once('close', () => {
    if (lost) lost.abort();
    else if (!response.writableFinished) services.gateway.leave(call.requestId);
  });
  const events = services.gateway.complete({
    requestId: call.requestId,
    caller: call.caller,
    door: 'OPENAI',
    operation: call.operation,
    body: call.body,
    tags: parseTags(request.headers['x-signalbox-tags']),
    ...call.wishes,
    ...(lost ? { signal: lost.signal } : {}),
    sandbox: typeof sandbox === 'string' ? sandbox : null,
  });
  const writer = new AnswerWriter(response, call, services);
  try {
    for await (const event of events) {
      await writer.write(event);
      if (response.destroyed) break;
    }
  } finally {
    writer.stop();
  }
}

/**
 * `x-signalbox-power-level`, `x-signalbox-session`, `x-signalbox-restart: allow`, and `idempotency-key`.
 * @throws ValidationError for a power level that there is not, and a key that is none
 */
export function parseWishes({ headers }: IncomingMessage): Wishes {
  const level = headers['x-signalbox-power-level'];
  const session = headers['x-signalbox-session'];
  const key = keyIn(headers['idempotency-key']);
  const powerLevel = POWER_LEVELS.find((one) => one === level);
  if (level !== undefined && !powerLevel)
    throw invalid('x-signalbox-power-level', 'must be ECO, BALANCED or PRECISION');
  return {
    ...(powerLevel ? { powerLevel } : {}),
    ...(typeof session === 'string' ? { sessionKey: session } : {}),
    ...(key === undefined ? {} : { key }),
    acceptsRestart: headers['x-signalbox-restart'] === 'allow',
  };
}

function keyIn(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined;
  // Node reads headers as Latin-1, whatever the client wrote.
  const bytes = Buffer.from(header, 'latin1');
  const key = isUtf8(bytes) ? bytes.toString('utf8') : header;
  if (!CALLER_KEY.test(key)) throw invalid('Idempotency-Key', CALLER_KEY_RULE);
  return key;
}

/** `x-signalbox-tags: team=search, env=production`; the gateway checks their number and length. */
function parseTags(header: string | string[] | undefined): Record<string, string> {
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  const pairs = text.split(',').flatMap((pair) => {
    const [name = '', ...value] = pair.split('=');
    return name.trim() === '' ? [] : [[name.trim(), value.join('=').trim()] as const];
  });
  return Object.fromEntries(pairs);
}

/** Turns the events of one completion into one HTTP answer. */
class AnswerWriter {
  readonly #response: ServerResponse;
  readonly #headers: Headers;
  readonly #caller: Caller;
  readonly #services: Services;
  #hold: NodeJS.Timeout | null = null;
  #ping: NodeJS.Timeout | null = null;
  #body: Buffer | null = null;
  #isStreamed = false;
  #wantsUsage = false;

  constructor(response: ServerResponse, { headers, caller }: OpenAICall, services: Services) {
    this.#response = response;
    this.#headers = headers;
    this.#caller = caller;
    this.#services = services;
  }

  async write(event: CompletionEvent): Promise<void> {
    switch (event.type) {
      case 'admitted':
        this.#wantsUsage = event.wantsUsage;
        this.#isStreamed = event.isStreamed;
        this.#headers['x-signalbox-request-id'] = event.requestId;
        if (event.isStreamed) this.#hold = setTimeout(() => this.#openEarly(), this.#services.settings.headerHoldMs);
        return;
      case 'started':
        if (this.#isStreamed) this.#openStream(event.head);
        return;
      case 'restarted':
        return this.#send(`data: ${restartChunk(event.head, event.error)}\n\n`);
      case 'events':
        return this.#send(event.events.map(({ data }) => `data: ${data}\n\n`).join(''));
      case 'body':
        this.#body = event.body;
        return;
      case 'finished':
        return this.#finish(event.report, event.usageEvent);
      case 'failed':
        return this.#fail(event.error, event.report, event.requestId);
    }
  }

  stop(): void {
    this.#stopTimers();
    if (!this.#response.writableEnded) this.#response.destroy();
  }

  /** The hold is over and no provider has said anything yet: failover stays possible until one does. */
  #openEarly(): void {
    this.#openStream(null);
    this.#response.write(': waiting for the provider\n\n');
    this.#ping = setInterval(() => this.#response.write(': waiting for the provider\n\n'), PING_MS);
  }

  #openStream(head: AnswerHead | null): void {
    this.#stopTimers();
    if (this.#response.headersSent) return;
    if (head) addHead(this.#headers, head);
    this.#headers['content-type'] = 'text/event-stream; charset=utf-8';
    this.#headers['cache-control'] = 'no-cache, no-transform';
    this.#headers['x-accel-buffering'] = 'no';
    this.#response.writeHead(200, this.#headers);
  }

  #stopTimers(): void {
    if (this.#hold) clearTimeout(this.#hold);
    if (this.#ping) clearInterval(this.#ping);
    this.#hold = null;
    this.#ping = null;
  }

  /**
   * Waits while the client is slower than the provider; gives up when the client goes, or takes nothing for as long as a
   * provider may say nothing: meanwhile the completion is open, and the money for it is set aside.
   */
  async #send(text: string): Promise<void> {
    if (this.#response.destroyed || this.#response.write(text)) return;
    const { socket } = this.#response;
    const gone = new AbortController();
    const onClose = () => gone.abort();
    this.#response.once('close', onClose);
    // Node ends the connection then.
    socket?.setTimeout(this.#services.settings.stallTimeoutMs);
    await once(this.#response, 'drain', { signal: gone.signal }).catch(() => undefined);
    socket?.setTimeout(0);
    this.#response.off('close', onClose);
  }

  #finish(report: CompletionReport, usageEvent: string | null): void {
    if (!this.#isStreamed) {
      addReport(this.#headers, report);
      this.#answer(200, this.#body ?? Buffer.alloc(0));
      return;
    }
    const usage = this.#wantsUsage ? `data: ${usageChunk(report, usageEvent)}\n\n` : '';
    this.#response.end(`${usage}data: [DONE]\n\n`);
  }

  async #fail(error: SignalboxError, report: CompletionReport | null, requestId: string): Promise<void> {
    const record = error instanceof ConflictError ? await this.#recordOf(error) : {};
    if (this.#response.destroyed) return;
    const body = JSON.stringify(toOpenAIError(error, requestId, record));
    // Headers are out: an error event, and no [DONE], so that no client takes the answer for complete.
    if (this.#response.headersSent) {
      this.#response.end(`data: ${body}\n\n`);
      return;
    }
    if (report) addReport(this.#headers, report);
    else this.#headers['x-signalbox-request-id'] = requestId;
    Object.assign(this.#headers, retryHeaders(error));
    this.#answer(error.status, Buffer.from(body));
  }

  /** What the ledger has of the completion under the same key; null while it has nothing, or cannot be asked. */
  async #recordOf(error: ConflictError) {
    const { pool, log } = this.#services;
    try {
      const request = await conflictingRequest(error, this.#caller, pool);
      return { request: request && toOpenAIRecord(request) };
    } catch (thrown) {
      log.warn({ err: thrown }, 'the ledger could not be asked about a request that was made before');
      return { request: null };
    }
  }

  #answer(status: number, body: Buffer): void {
    this.#headers['content-type'] = 'application/json';
    this.#headers['content-length'] = body.length;
    this.#response.writeHead(status, this.#headers);
    this.#response.end(body);
  }
}

/** The provider's usage event with the cost added; made here where the provider sent none. */
function usageChunk(report: CompletionReport, usageEvent: string | null): string {
  const { usage } = report;
  const facts = JSON.stringify({
    request_id: report.requestId,
    provider: report.provider,
    cost: report.cost === null ? null : toUsd(report.cost),
    is_estimated: report.isEstimated,
  });
  const event =
    usageEvent ??
    JSON.stringify({
      id: `chatcmpl-${report.requestId}`,
      object: 'chat.completion.chunk',
      created: Math.floor(report.startedAt / 1000),
      model: report.model,
      choices: [],
      usage: {
        prompt_tokens: usage.inputTokens ?? 0,
        completion_tokens: usage.outputTokens ?? 0,
        total_tokens: (usage.inputTokens ?? 0) + (usage.outputTokens ?? 0),
      },
    });
  return `${event.slice(0, event.lastIndexOf('}'))},"signalbox":${facts}}`;
}

/** Tells a client that asked for it to discard what it has of the answer; others see a chunk without choices. */
function restartChunk(head: AnswerHead, error: SignalboxError): string {
  const { provider, model, attempts } = head;
  return JSON.stringify({
    id: `chatcmpl-${head.requestId}`,
    object: 'chat.completion.chunk',
    created: Math.floor(head.startedAt / 1000),
    model,
    choices: [],
    signalbox: { restarted: { attempt: attempts, provider, reason: error.message } },
  });
}
