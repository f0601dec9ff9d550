import { randomFrom, subDigest } from './digest.ts';
import { type Length, prose, quote } from './prose.ts';
import { type ChatBody, type SandboxRequest, textOf } from './request.ts';
import { fillSchema } from './schema.ts';
import { untilStop } from './stop.ts';
import { countTokens, splitTokens } from './tokens.ts';
import { chooseToolCalls, lastUserText, type ToolCall } from './tools.ts';

/** Tokens of one kind that follow each other in a choice. The start of a tool call is one token, its name. */
export type Run =
  | { type: 'reasoning' | 'text'; tokens: readonly string[] }
  | { type: 'tool-start'; index: number; id: string; tokens: readonly [name: string] }
  | { type: 'tool-arguments'; index: number; tokens: readonly string[] };

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** An answer, planned but not yet made: its tokens are made when they are read. */
export interface Answer {
  id: string;
  /** Seconds since 1970, from the request's digest and not from a clock. */
  created: number;
  model: string;
  promptTokens: number;
  cachedTokens: number;
  choices: readonly Choice[];
}

export interface Choice {
  callsTools: boolean;
  /** The tokens of the choice from its start, and at last why it ended. Each call begins anew. */
  runs(): Generator<Run, FinishReason>;
}

const YEAR_2025 = 1_735_689_600;
const REASONING_SHARE = { none: 0, minimal: 0.25, low: 0.5, medium: 1, high: 2, xhigh: 4 } as const;
const TOKENS_PER_MESSAGE = 4;
const TOKENS_PER_IMAGE = 85;

/**
 * Decides how a request is answered; the same request always gets the same answer.
 * @throws ValidationError for a tool or schema that the sandbox cannot satisfy.
 */
export function planAnswer(request: SandboxRequest): Answer {
  const { body, digest, controls } = request;
  const promptTokens = countPrompt(body);
  return {
    id: `chatcmpl-sandbox${digest.slice(0, 21)}`,
    created: YEAR_2025 + Number.parseInt(digest.slice(21, 27), 16),
    model: body.model,
    promptTokens,
    cachedTokens: Math.min(controls.cachedTokens ?? 0, promptTokens),
    choices: Array.from({ length: body.n ?? 1 }, (_, index) =>
      planChoice(request, subDigest(digest, `choice/${index}`)),
    ),
  };
}

function planChoice(request: SandboxRequest, digest: string): Choice {
  const { body } = request;
  const limit = Math.min(body.max_tokens ?? Infinity, body.max_completion_tokens ?? Infinity);
  const calls = chooseToolCalls(body, digest);
  if (calls.length > 0) return { callsTools: true, runs: () => cutAt(limit, callRuns(calls)) };
  const text = planText(request, digest);
  const stops = typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []);
  return { callsTools: false, runs: () => cutAt(limit, textRuns(request, digest, untilStop(text(), stops))) };
}

function* callRuns(calls: readonly ToolCall[]): Generator<Run, FinishReason> {
  for (const [index, call] of calls.entries()) {
    yield { type: 'tool-start', index, id: call.id, tokens: [call.name] };
    yield { type: 'tool-arguments', index, tokens: [...splitTokens(call.arguments)] };
  }
  return 'tool_calls';
}

function* textRuns(
  { body, model }: SandboxRequest,
  digest: string,
  text: Iterable<readonly string[]>,
): Generator<Run, FinishReason> {
  const reasoning = model.reasoningTokens * REASONING_SHARE[body.reasoning_effort ?? 'medium'];
  if (reasoning > 0) {
    const random = randomFrom(subDigest(digest, 'reasoning'));
    const thoughts = prose('The sandbox pretends to think.', { tokens: reasoning }, random);
    for (const tokens of thoughts) yield { type: 'reasoning', tokens };
  }
  for (const tokens of text) yield { type: 'text', tokens };
  return 'stop';
}

/** Ends an answer that is longer than `limit` tokens with the finish reason `length`. */
function* cutAt(limit: number, runs: Generator<Run, FinishReason>): Generator<Run, FinishReason> {
  let left = limit;
  for (let next = runs.next(); ; next = runs.next()) {
    if (next.done) return next.value;
    const run = next.value;
    if (run.tokens.length > left) {
      if (left > 0) yield part(run, 0, left);
      return 'length';
    }
    left -= run.tokens.length;
    yield run;
  }
}

/** Some of a run's tokens. The one token of a `tool-start` is never parted. */
export function part(run: Run, from: number, to?: number): Run {
  return run.type === 'tool-start' ? run : { ...run, tokens: run.tokens.slice(from, to) };
}

/** The text of a choice, as a function that begins it anew. */
function planText({ body, model, controls }: SandboxRequest, digest: string): () => Iterable<readonly string[]> {
  const format = body.response_format;
  const opening = openingOf(body);
  if (format?.type === 'json_schema') {
    const schema = format.json_schema.schema ?? { type: 'object' };
    return asTokens(fillSchema(schema, randomFrom(digest), 'response_format.json_schema.schema'));
  }
  if (format?.type === 'json_object') return asTokens({ sandbox: true, model: model.id, answer: opening });
  const { outputTokens } = controls;
  const length: Length = outputTokens === undefined ? { sentences: model.sentences } : { tokens: outputTokens };
  return () => prose(opening, length, randomFrom(digest));
}

function asTokens(value: unknown): () => Iterable<readonly string[]> {
  const tokens = [...splitTokens(JSON.stringify(value))];
  return () => [tokens];
}

function openingOf(body: ChatBody): string {
  const label = `This is the Signalbox sandbox, playing ${body.model}.`;
  const results = body.messages.slice(body.messages.findLastIndex((message) => message.role !== 'tool') + 1);
  if (results.length > 0) {
    return `${label} The tools answered: ${results.map((result) => `"${quote(textOf(result))}"`).join(', ')}.`;
  }
  const asked = quote(lastUserText(body));
  return asked ? `${label} You wrote: "${asked}".` : label;
}

function countPrompt(body: ChatBody): number {
  let tokens = body.tools?.length ? countTokens(JSON.stringify(body.tools)) : 0;
  for (const message of body.messages) {
    tokens += TOKENS_PER_MESSAGE + countTokens(textOf(message));
    if (Array.isArray(message.content)) {
      tokens += TOKENS_PER_IMAGE * message.content.filter((part) => part.image_url).length;
    }
    if (message.role === 'assistant' && message.tool_calls) tokens += countTokens(JSON.stringify(message.tool_calls));
  }
  return tokens;
}
