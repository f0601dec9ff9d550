import type { Ask } from './ask.ts';
import { randomFrom, subDigest } from './digest.ts';
import { type Length, prose, quote } from './prose.ts';
import type { SandboxRequest } from './request.ts';
import { fillSchema } from './schema.ts';
import { untilStop } from './stop.ts';
import { countTokens, splitTokens } from './tokens.ts';
import { chooseToolCalls, lastUserText, type ToolCall } from './tools.ts';

/** Tokens of one kind that follow each other in a choice. The start of a tool call is one token, its name. */
export type Run =
  | { type: 'reasoning' | 'text'; tokens: readonly string[] }
  | { type: 'tool-start'; index: number; id: string; tokens: readonly [name: string] }
  | { type: 'tool-arguments'; index: number; tokens: readonly string[] };

/** Why a choice ended; with `stop`, `stopSequence` is the one that ended it, or null where the model had said all. */
export interface Finish {
  reason: 'stop' | 'length' | 'tool_calls' | 'content_filter';
  stopSequence: string | null;
}

/** An answer, planned but not yet made: its tokens are made when they are read. */
export interface Answer {
  id: string;
  /** Seconds since 1970, from the request's digest and not from a clock. */
  created: number;
  /** As it was asked for. */
  model: string;
  promptTokens: number;
  /** Those of the prompt's tokens that came from a cache. */
  cachedTokens: number;
  /** Those of the others that went into one. */
  cacheWriteTokens: number;
  choices: readonly Choice[];
}

export interface Choice {
  /** Names the choice. */
  digest: string;
  callsTools: boolean;
  /** The tokens of the choice from its start, and at last why it ended. Each call begins anew. */
  runs(): Generator<Run, Finish>;
}

const YEAR_2025 = 1_735_689_600;
const TOKENS_PER_MESSAGE = 4;
const TOKENS_PER_IMAGE = 85;

/**
 * Decides how a request is answered; the same request always gets the same answer.
 * @throws ValidationError for a tool or schema that the sandbox cannot satisfy.
 */
export function planAnswer(request: SandboxRequest): Answer {
  const { ask, digest, controls } = request;
  const promptTokens = countPrompt(ask);
  const cachedTokens = Math.min(controls.cachedTokens ?? 0, promptTokens);
  return {
    id: `${request.dialect.idPrefix}sandbox${digest.slice(0, 21)}`,
    created: YEAR_2025 + Number.parseInt(digest.slice(21, 27), 16),
    model: request.model.asked,
    promptTokens,
    cachedTokens,
    cacheWriteTokens: Math.min(controls.cacheWriteTokens ?? 0, promptTokens - cachedTokens),
    choices: Array.from({ length: ask.choices }, (_, index) =>
      planChoice(request, subDigest(digest, `choice/${index}`)),
    ),
  };
}

function planChoice(request: SandboxRequest, digest: string): Choice {
  const { ask } = request;
  const calls = chooseToolCalls(ask, digest);
  const text = calls.length > 0 ? null : planText(request, digest);
  const answer = () => (text ? textRuns(untilStop(text(), ask.stops)) : callRuns(calls));
  const reasoning = text || ask.reasoning.beforeCalls ? ask.reasoning.tokens : 0;
  return {
    digest,
    callsTools: text === null,
    runs: () => cutAt(ask.limit, reasonBefore(reasoning, digest, answer())),
  };
}

function* callRuns(calls: readonly ToolCall[]): Generator<Run, Finish> {
  for (const [index, call] of calls.entries()) {
    yield { type: 'tool-start', index, id: call.id, tokens: [call.name] };
    yield { type: 'tool-arguments', index, tokens: [...splitTokens(call.arguments)] };
  }
  return { reason: 'tool_calls', stopSequence: null };
}

function* textRuns(text: Generator<readonly string[], string | null>): Generator<Run, Finish> {
  for (let next = text.next(); ; next = text.next()) {
    if (next.done) return { reason: 'stop', stopSequence: next.value };
    yield { type: 'text', tokens: next.value };
  }
}

function* reasonBefore(length: number, digest: string, runs: Generator<Run, Finish>): Generator<Run, Finish> {
  if (length > 0) {
    const random = randomFrom(subDigest(digest, 'reasoning'));
    const thoughts = prose('The sandbox pretends to think.', { tokens: length }, random);
    for (const tokens of thoughts) yield { type: 'reasoning', tokens };
  }
  return yield* runs;
}

/** Ends an answer that is longer than `limit` tokens with the finish reason `length`. */
function* cutAt(limit: number, runs: Generator<Run, Finish>): Generator<Run, Finish> {
  let left = limit;
  for (let next = runs.next(); ; next = runs.next()) {
    if (next.done) return next.value;
    const run = next.value;
    if (run.tokens.length > left) {
      if (left > 0) yield part(run, 0, left);
      return { reason: 'length', stopSequence: null };
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
function planText({ ask, controls }: SandboxRequest, digest: string): () => Iterable<readonly string[]> {
  const { format, model } = ask;
  const opening = openingOf(ask);
  if (format.type === 'schema') return asTokens(fillSchema(format.schema, randomFrom(digest), format.param));
  if (format.type === 'json') return asTokens({ sandbox: true, model: model.id, answer: opening });
  const { outputTokens } = controls;
  const length: Length = outputTokens === undefined ? { sentences: model.sentences } : { tokens: outputTokens };
  return () => prose(opening, length, randomFrom(digest));
}

function asTokens(value: unknown): () => Iterable<readonly string[]> {
  const tokens = [...splitTokens(JSON.stringify(value))];
  return () => [tokens];
}

function openingOf(ask: Ask): string {
  const label = `This is the Signalbox sandbox, playing ${ask.model.id}.`;
  const results = ask.turns.slice(ask.turns.findLastIndex(({ role }) => role !== 'tool') + 1);
  if (results.length > 0) {
    return `${label} The tools answered: ${results.map(({ text }) => `"${quote(text)}"`).join(', ')}.`;
  }
  const asked = quote(lastUserText(ask));
  return asked ? `${label} You wrote: "${asked}".` : label;
}

function countPrompt({ tools, turns }: Ask): number {
  const defined = tools.map(({ name, schema }) => ({
    type: 'function',
    function: { name, parameters: schema ?? undefined },
  }));
  let tokens = tools.length > 0 ? countTokens(JSON.stringify(defined)) : 0;
  for (const { text, images, calls } of turns) {
    tokens += TOKENS_PER_MESSAGE + TOKENS_PER_IMAGE * images + countTokens(text) + countTokens(calls);
  }
  return tokens;
}
