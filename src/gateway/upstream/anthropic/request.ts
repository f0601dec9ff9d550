import type { Anthropic } from '@anthropic-ai/sdk';
import { invalid } from '../../../platform/errors.ts';
import { type ChatBody, isRecord, outputLimit } from '../body.ts';
import type { ChatRequest } from '../dialect.ts';
import { Notes } from '../notes.ts';
import { type Conversation, toConversation } from './messages.ts';
import { type ModelTraits, traitsOf } from './models.ts';
import { type Thinking, toThinking } from './thinking.ts';
import { toToolChoice, toTools } from './tools.ts';

type Params = Omit<Anthropic.MessageCreateParams, 'messages'> & {
  messages: unknown[];
  temperature?: number;
  top_p?: number;
  top_k?: number;
};

/** A request in Anthropic's words. */
export interface WrittenRequest {
  params: Params;
  warnings: readonly string[];
  /** The tool whose call stands for an answer that follows a schema, with models that take no schema for it. */
  answerTool: string | null;
}

/** Where neither the request nor the catalog says how long an answer may be. */
const DEFAULT_MAX_TOKENS = 4_096;

/** With thinking on: https://platform.claude.com/docs/en/build-with-claude/extended-thinking */
const LEAST_TOP_P = 0.95;

/** Members of OpenAI's that are translated here or by the gateway; everything else is Anthropic's own, or left out. */
const TRANSLATED = new Set([
  ...['model', 'messages', 'stream', 'stream_options', 'n', 'max_tokens', 'max_completion_tokens', 'temperature'],
  ...['top_p', 'stop', 'tools', 'tool_choice', 'parallel_tool_calls', 'response_format', 'reasoning_effort', 'user'],
  // Controls of the sandbox, which reach it in a header or not at all.
  'sandbox',
]);

/** Members of Anthropic's own API, from clients that know where the request goes; passed on as they are. */
const OWN = ['top_k', 'thinking', 'metadata', 'service_tier', 'container', 'inference_geo', 'cache_control'];
/** OpenAI's values of `service_tier` mean other things. */
const OWN_TIERS = new Set(['auto', 'standard_only']);

/**
 * Puts a chat completion into Anthropic's words.
 * @throws ValidationError when it asks for what Messages cannot do
 */
export function toAnthropic({ body: { chat }, model, isStreamed }: ChatRequest): WrittenRequest {
  if ((chat.n ?? 1) > 1) throw invalid('n', 'must be 1, because Anthropic gives one answer at a time');
  const notes = new Notes('Anthropic');
  const traits = traitsOf(model.name);
  const { system, messages } = toConversation(chat.messages, notes);
  if (messages.length === 0) throw invalid('messages', 'must hold something that the user says, for Anthropic');
  const wantedTokens = outputLimit(chat) ?? model.maxOutputTokens ?? DEFAULT_MAX_TOKENS;
  const { thinking, effort, leastTokens } = continuesUnthought(messages, traits)
    ? withoutThinking(chat, notes)
    : toThinking(chat, wantedTokens, traits, notes);
  if (leastTokens > wantedTokens && outputLimit(chat) !== null)
    notes.changed('max_tokens', `to ${leastTokens}, since Anthropic counts reasoning among them`);
  const tools = toTools(chat);
  const params: Params = {
    model: model.name,
    max_tokens: Math.max(wantedTokens, leastTokens),
    messages,
    ...(system.length > 0 ? { system } : {}),
    ...(tools.length > 0 ? { tools } : {}),
    ...(thinking ? { thinking } : {}),
    ...(effort ? { output_config: { effort } } : {}),
    ...(isStreamed ? { stream: true } : {}),
  };
  const isThinking = thinking !== undefined && thinking.type !== 'disabled';
  addToolChoice(params, chat, isThinking, notes);
  addSampling(params, chat, traits, isThinking, notes);
  addStops(params, chat, notes);
  addOwn(params, chat, notes);
  const answerTool = addFormat(params, chat, traits, isThinking, notes);
  return { params, warnings: notes.warnings, answerTool };
}

/**
 * Whether tool results go back to an answer whose thinking is not there, as clients that know OpenAI's API only leave it
 * out: models that think within a budget refuse to think on then.
 */
function continuesUnthought(messages: Conversation['messages'], { thinking }: ModelTraits): boolean {
  if (thinking !== 'BUDGET') return false;
  const [results] = messages.at(-1)?.content ?? [];
  if (messages.at(-1)?.role !== 'user' || results?.type !== 'tool_result') return false;
  const [first] = messages.at(-2)?.content ?? [];
  return first?.type !== 'thinking' && first?.type !== 'redacted_thinking';
}

function withoutThinking(chat: ChatBody, notes: Notes): Thinking {
  if (isRecord(chat.thinking)) return { thinking: chat.thinking as never, leastTokens: 0 };
  if (chat.reasoning_effort != null && chat.reasoning_effort !== 'none')
    notes.leftOut('reasoning_effort', 'the answer that called the tools came without its reasoning_details');
  return { leastTokens: 0 };
}

/** Thinking allows no tool to be forced. */
function addToolChoice(params: Params, chat: ChatBody, isThinking: boolean, notes: Notes): void {
  if (!params.tools) return;
  const choice = toToolChoice(chat);
  if (!choice) return;
  if (isThinking && params.thinking?.type === 'enabled' && (choice.type === 'any' || choice.type === 'tool')) {
    notes.changed('tool_choice', 'to auto, since Anthropic forces no tool while the model reasons');
    const { disable_parallel_tool_use: isOne } = choice;
    params.tool_choice = { type: 'auto', ...(isOne ? { disable_parallel_tool_use: true } : {}) };
  } else params.tool_choice = choice;
}

/** Temperatures go up to 2 at OpenAI and to 1 here; with thinking on, and with new models, there is none at all. */
function addSampling(params: Params, chat: ChatBody, traits: ModelTraits, isThinking: boolean, notes: Notes): void {
  for (const member of ['temperature', 'top_p', 'top_k'] as const) {
    const value = chat[member];
    if (value == null) continue;
    if (typeof value !== 'number' || !(value >= 0)) throw invalid(member, 'must be a number of 0 or more');
    if (!traits.samples) notes.leftOut(member, 'the model does not take it');
    else if (isThinking && member !== 'top_p')
      notes.leftOut(member, 'Anthropic does not take it while the model reasons');
    else if (isThinking && value < LEAST_TOP_P)
      notes.leftOut(member, `Anthropic takes nothing below ${LEAST_TOP_P} while the model reasons`);
    else if (member === 'top_p' && params.temperature !== undefined)
      notes.leftOut(member, 'Anthropic does not take it together with temperature');
    else if (member === 'top_k') params.top_k = Math.floor(value);
    else {
      if (value > 1) notes.changed(member, 'to 1, the most that Anthropic takes');
      params[member] = Math.min(1, value);
    }
  }
}

function addStops(params: Params, chat: ChatBody, notes: Notes): void {
  const given = typeof chat.stop === 'string' ? [chat.stop] : chat.stop;
  if (given == null) return;
  if (!Array.isArray(given)) throw invalid('stop', 'must be a text or a list of texts');
  // Anthropic refuses sequences of nothing but white space.
  const stops = given.filter((stop): stop is string => typeof stop === 'string' && stop.trim() !== '');
  if (stops.length < given.length) notes.leftOut('stop', 'Anthropic takes no sequence of white space');
  if (stops.length > 0) params.stop_sequences = stops;
}

function addOwn(params: Params, chat: ChatBody, notes: Notes): void {
  const own = params as unknown as Record<string, unknown>;
  if (typeof chat.user === 'string' && chat.user !== '') params.metadata = { user_id: chat.user };
  for (const [member, value] of Object.entries(chat)) {
    if (value == null || TRANSLATED.has(member) || Object.hasOwn(own, member)) continue;
    const isOwn =
      OWN.includes(member) && (member !== 'service_tier' || OWN_TIERS.has(value as string)) && member !== 'top_k';
    if (member === 'metadata' && !(isRecord(value) && typeof value.user_id === 'string')) notes.leftOut(member);
    else if (isOwn) own[member] = value;
    else if (member !== 'top_k') notes.leftOut(member);
  }
}

/**
 * An answer that follows a schema. Models that take none for their answer are made to call a tool with that schema, and
 * the call is read as the answer.
 */
function addFormat(
  params: Params,
  chat: ChatBody,
  traits: ModelTraits,
  isThinking: boolean,
  notes: Notes,
): string | null {
  const format = chat.response_format;
  if (!isRecord(format) || format.type === 'text') return null;
  const named = isRecord(format.json_schema) ? format.json_schema : {};
  const schema = format.type === 'json_schema' && isRecord(named.schema) ? named.schema : null;
  if (format.type === 'json_object' || (format.type === 'json_schema' && !schema)) {
    params.system = [...((params.system as Anthropic.TextBlockParam[] | undefined) ?? []), ONLY_JSON];
    return null;
  }
  if (!schema) throw invalid('response_format', 'must be of type text, json_object or json_schema');
  if (traits.formatsOutput) {
    params.output_config = { ...params.output_config, format: { type: 'json_schema', schema } };
    return null;
  }
  if (params.tools || isThinking) {
    notes.leftOut('response_format', 'this model cannot follow a schema while it has tools or reasons');
    return null;
  }
  const name = typeof named.name === 'string' && /^[\w-]{1,64}$/.test(named.name) ? named.name : 'answer';
  params.tools = [{ name, description: 'Gives the answer.', input_schema: { ...schema, type: 'object' } }];
  params.tool_choice = { type: 'tool', name };
  return name;
}

const ONLY_JSON = { type: 'text' as const, text: 'Answer with one JSON object and nothing else.' };
