import { createParser } from 'eventsource-parser';
import type { TestServer } from '../../../kit/server.ts';
import { subscribe } from './subscriber.ts';

export type Way = 'streamed on /v1' | 'whole on /v1' | 'subscribed to';

export const WAYS: readonly Way[] = ['streamed on /v1', 'whole on /v1', 'subscribed to'];
export const STREAMED: readonly Way[] = ['streamed on /v1', 'subscribed to'];

/** Everything that a caller learns of one completion, whichever the way. */
export interface Seen {
  requestId: string;
  /** Of the HTTP answer; null over GraphQL. */
  status: number | null;
  text: string;
  finishReason: string | null;
  /** It says that it is whole: `[DONE]`, or the event that a subscription ends with. */
  isWhole: boolean;
  error: { code: string; message: string } | null;
  usage: { inputTokens: number | null; outputTokens: number | null } | null;
  provider: string | null;
  model: string | null;
  route: string | null;
  attempts: number | null;
  /** Each time another target began anew: the attempt's number, and the text that was to be discarded. */
  restarts: { attempt: number; discarded: string }[];
  retryAfter: number | null;
  /** Until the first event, and until the end, in milliseconds. */
  firstMs: number;
  ms: number;
}

export interface Question {
  messages?: readonly { role: string; content: string }[];
  headers?: Record<string, string>;
  /** Controls for whichever sandbox answers. */
  sandbox?: object;
  signal?: AbortSignal;
}

const MESSAGES = [{ role: 'user', content: 'Where is the night train to the coast?' }];

/** Sends one completion and takes in all that comes back. */
export async function ask(server: TestServer, model: string, way: Way, question: Question = {}): Promise<Seen> {
  const { messages = MESSAGES } = question;
  if (way === 'subscribed to') return subscribe(server, model, messages, question.sandbox);
  const startedAt = performance.now();
  const isStreamed = way === 'streamed on /v1';
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${server.apiKey}`,
      ...question.headers,
    },
    body: JSON.stringify({
      model,
      messages,
      ...(question.sandbox && { sandbox: question.sandbox }),
      ...(isStreamed && { stream: true, stream_options: { include_usage: true } }),
    }),
    signal: question.signal ?? null,
  });
  const { headers, status } = response;
  const number = (name: string) => (headers.get(name) === null ? null : Number(headers.get(name)));
  const seen: Seen = {
    requestId: headers.get('x-signalbox-request-id') ?? '',
    status,
    text: '',
    finishReason: null,
    isWhole: false,
    error: null,
    usage: null,
    provider: headers.get('x-signalbox-provider'),
    model: headers.get('x-signalbox-model'),
    route: headers.get('x-signalbox-route'),
    attempts: number('x-signalbox-attempts'),
    restarts: [],
    retryAfter: number('retry-after'),
    firstMs: performance.now() - startedAt,
    ms: 0,
  };
  const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (isStream) await readStream(response, seen, startedAt);
  else takeIn(await response.json(), seen);
  seen.ms = performance.now() - startedAt;
  return seen;
}

async function readStream(response: Response, seen: Seen, startedAt: number): Promise<void> {
  let events = 0;
  const parser = createParser({
    onEvent: ({ data }) => {
      if (events++ === 0) seen.firstMs = performance.now() - startedAt;
      if (data === '[DONE]') seen.isWhole = seen.error === null;
      else takeIn(JSON.parse(data), seen);
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
}

/** A chunk, a whole answer, or an error. */
interface Told {
  error?: { code: string; message: string; request_id: string };
  model?: string;
  choices?: {
    delta?: { content?: string | null };
    message?: { content?: string | null };
    finish_reason?: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  signalbox?: { restarted?: { attempt: number; reason: string }; provider?: string; request_id?: string };
}

function takeIn(told: Told, seen: Seen): void {
  if (told.error) {
    seen.error = { code: told.error.code.toUpperCase(), message: told.error.message };
    seen.requestId ||= told.error.request_id;
    seen.isWhole = false;
    return;
  }
  const { restarted, provider, request_id } = told.signalbox ?? {};
  seen.requestId ||= request_id ?? '';
  if (restarted) {
    seen.restarts.push({ attempt: restarted.attempt, discarded: seen.text });
    seen.text = '';
    seen.attempts = restarted.attempt;
  }
  const [choice] = told.choices ?? [];
  seen.text += choice?.delta?.content ?? choice?.message?.content ?? '';
  seen.finishReason = choice?.finish_reason ?? seen.finishReason;
  if (choice?.message) seen.isWhole = true;
  if (told.usage) seen.usage = { inputTokens: told.usage.prompt_tokens, outputTokens: told.usage.completion_tokens };
  if (told.model) seen.model = told.model;
  if (provider) seen.provider = provider;
}
