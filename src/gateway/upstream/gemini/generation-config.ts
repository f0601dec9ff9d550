import { invalid } from '../../../platform/errors.ts';
import { type ChatBody, isRecord, outputLimit } from '../body.ts';
import type { Notes } from '../notes.ts';
import { thinkingControlOf } from './models.ts';

type Config = Record<string, unknown>;

/** OpenAI's members with Gemini's names for the same thing. */
const RENAMED: Readonly<Record<string, string>> = {
  n: 'candidateCount',
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
};
const MOST_STOPS = 5;
/** Google's own translation of efforts (https://ai.google.dev/gemini-api/docs/openai#thinking). */
const BUDGETS: Readonly<Record<string, number>> = {
  minimal: 1_024,
  low: 1_024,
  medium: 8_192,
  high: 24_576,
  xhigh: 24_576,
};
const LEAST_PRO_BUDGET = 128;
const LEVELS: Readonly<Record<string, string>> = {
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
};

/** Members of a chat body that `toGenerationConfig` reads. */
export const CONFIGURING = [
  ...Object.keys(RENAMED),
  ...['max_tokens', 'max_completion_tokens', 'stop', 'logprobs', 'top_logprobs', 'response_format', 'reasoning_effort'],
];

/** How an answer is made. @throws ValidationError for members of the wrong type */
export function toGenerationConfig(chat: ChatBody, model: string, notes: Notes): Config {
  const config: Config = {};
  for (const [member, name] of Object.entries(RENAMED)) {
    const value = chat[member];
    if (value == null) continue;
    if (typeof value !== 'number') throw invalid(member, 'must be a number');
    config[name] = value;
  }
  const limit = outputLimit(chat);
  if (limit !== null) config.maxOutputTokens = limit;
  addStops(config, chat, notes);
  addLogprobs(config, chat);
  addFormat(config, chat);
  addThinking(config, chat, model, notes);
  return config;
}

function addStops(config: Config, { stop }: ChatBody, notes: Notes): void {
  const given = typeof stop === 'string' ? [stop] : stop;
  if (given == null) return;
  if (!Array.isArray(given) || !given.every((one) => typeof one === 'string'))
    throw invalid('stop', 'must be a text or a list of texts');
  if (given.length > MOST_STOPS) notes.changed('stop', `to its first ${MOST_STOPS}, the most that Gemini takes`);
  const stops = given.filter((one) => one !== '').slice(0, MOST_STOPS);
  if (stops.length > 0) config.stopSequences = stops;
}

function addLogprobs(config: Config, { logprobs, top_logprobs: top }: ChatBody): void {
  if (logprobs !== true) return;
  config.responseLogprobs = true;
  if (typeof top === 'number' && top > 0) config.logprobs = top;
}

function addFormat(config: Config, { response_format: format }: ChatBody): void {
  if (!isRecord(format) || format.type === 'text') return;
  if (format.type !== 'json_object' && format.type !== 'json_schema')
    throw invalid('response_format', 'must be of type text, json_object or json_schema');
  config.responseMimeType = 'application/json';
  const schema = isRecord(format.json_schema) ? format.json_schema.schema : null;
  if (format.type === 'json_schema' && isRecord(schema)) config.responseJsonSchema = schema;
}

/** A level or a budget, never both: Gemini refuses that. */
function addThinking(config: Config, { reasoning_effort: effort }: ChatBody, model: string, notes: Notes): void {
  if (effort == null) return;
  const control = thinkingControlOf(model);
  if (control === 'NONE') {
    if (effort !== 'none') notes.leftOut('reasoning_effort', 'the model does not reason');
  } else if (effort === 'none') {
    config.thinkingConfig = leastThinking(model, control, notes);
  } else if (typeof effort !== 'string' || !Object.hasOwn(LEVELS, effort)) {
    notes.leftOut('reasoning_effort', 'Gemini knows no such effort');
  } else {
    if (effort === 'xhigh') notes.changed('reasoning_effort', 'to high, the most that Gemini knows');
    config.thinkingConfig =
      control === 'BUDGET'
        ? { thinkingBudget: BUDGETS[effort], includeThoughts: true }
        : { thinkingLevel: levelOf(model, effort, notes), includeThoughts: true };
  }
}

/** Models that are told by levels cannot be told not to think, and neither can Gemini 2.5 Pro. */
function leastThinking(model: string, control: 'BUDGET' | 'LEVEL', notes: Notes): Config {
  if (control === 'LEVEL') {
    const level = levelOf(model, 'minimal', notes);
    notes.changed('reasoning_effort', `to ${level.toLowerCase()}, the least that the model takes`);
    return { thinkingLevel: level };
  }
  if (!isPro(model)) return { thinkingBudget: 0 };
  notes.changed('reasoning_effort', `to ${LEAST_PRO_BUDGET} tokens, the least that the model takes`);
  return { thinkingBudget: LEAST_PRO_BUDGET };
}

function levelOf(model: string, effort: string, notes: Notes): string {
  const level = LEVELS[effort] ?? 'HIGH';
  if (level !== 'MINIMAL' || !isPro(model)) return level;
  if (effort === 'minimal') notes.changed('reasoning_effort', 'to low, the least that the model takes');
  return 'LOW';
}

function isPro(model: string): boolean {
  return /gemini-\d+(\.\d+)?-pro/i.test(model);
}
