import type { Anthropic } from '@anthropic-ai/sdk';
import { invalid } from '../../../platform/errors.ts';
import { isRecord } from '../body.ts';
import { parseCallArguments } from '../call-arguments.ts';
import type { Notes } from '../notes.ts';
import { cacheOf, toBlocks, toText } from './content.ts';

type Block = Anthropic.ContentBlockParam;

export interface Conversation {
  system: Anthropic.TextBlockParam[];
  messages: { role: 'user' | 'assistant'; content: Block[] }[];
}

/**
 * A conversation in Anthropic's words: what system and developer say stands before it, tool results are said by the
 * user, and who speaks twice in a row speaks once.
 * @throws ValidationError for messages that cannot be said
 */
export function toConversation(messages: readonly unknown[], notes: Notes): Conversation {
  const conversation: Conversation = { system: [], messages: [] };
  for (const [at, message] of messages.entries()) {
    const path = `messages.${at}`;
    if (!isRecord(message)) throw invalid(path, 'must be an object');
    const { role, content } = message;
    if (role === 'system' || role === 'developer') {
      for (const text of toText(content, `${path}.content`, notes)) conversation.system.push(text);
    } else if (role === 'assistant') {
      say(conversation, 'assistant', toAssistant(message, path, notes));
    } else if (role === 'tool' || role === 'function') {
      say(conversation, 'user', [toToolResult(message, path, notes)]);
    } else if (role === 'user') {
      say(conversation, 'user', toBlocks(content, `${path}.content`, notes));
    } else {
      throw invalid(`${path}.role`, 'must be system, developer, user, assistant or tool');
    }
  }
  for (const { role, content } of conversation.messages) if (role === 'user') resultsFirst(content);
  return conversation;
}

function say({ messages }: Conversation, role: 'user' | 'assistant', content: Block[]): void {
  if (content.length === 0) return;
  const last = messages.at(-1);
  if (last?.role === role) for (const block of content) last.content.push(block);
  else messages.push({ role, content });
}

/** Anthropic refuses results behind anything else in the message that follows their calls. */
function resultsFirst(content: Block[]): void {
  const rank = ({ type }: Block) => (type === 'tool_result' ? 0 : 1);
  content.sort((a, b) => rank(a) - rank(b));
}

function toAssistant(message: Record<string, unknown>, path: string, notes: Notes): Block[] {
  const { content, tool_calls: calls, reasoning_details: details, refusal } = message;
  return [
    ...toThinking(details),
    ...toBlocks(content ?? refusal, `${path}.content`, notes),
    ...(Array.isArray(calls) ? calls.map((call, at) => toToolUse(call, `${path}.tool_calls.${at}`)) : []),
  ];
}

/** The thinking of an earlier answer, as this dialect told it; only what is signed can be sent back. */
function toThinking(details: unknown): Block[] {
  if (!Array.isArray(details)) return [];
  return joined(details.filter(isRecord)).flatMap(({ type, text, signature, data, format }): Block[] => {
    // OpenRouter names whose reasoning it is; another model's means nothing here.
    if (typeof format === 'string' && !format.startsWith('anthropic')) return [];
    if (type === 'reasoning.text' && typeof signature === 'string')
      return [{ type: 'thinking', thinking: typeof text === 'string' ? text : '', signature }];
    if (type === 'reasoning.encrypted' && typeof data === 'string') return [{ type: 'redacted_thinking', data }];
    return [];
  });
}

/** A stream tells the text of a detail piece by piece and then its signature; clients that keep the pieces send them so. */
function joined(details: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  const whole: Record<string, unknown>[] = [];
  for (const detail of details) {
    const last = whole.at(-1);
    const continues = last?.type === 'reasoning.text' && detail.type === last.type && detail.index === last.index;
    if (!last || !continues || detail.index == null) {
      whole.push({ ...detail });
      continue;
    }
    if (typeof detail.text === 'string') last.text = (typeof last.text === 'string' ? last.text : '') + detail.text;
    if (typeof detail.signature === 'string') last.signature = detail.signature;
  }
  return whole;
}

function toToolUse(call: unknown, path: string): Anthropic.ToolUseBlockParam {
  const { id, function: called } = isRecord(call) ? call : {};
  const { name, arguments: text } = isRecord(called) ? called : {};
  if (typeof id !== 'string' || typeof name !== 'string') throw invalid(path, 'must have an id and a function name');
  return { type: 'tool_use', id: safeId(id), name, input: parseCallArguments(text, `${path}.function.arguments`) };
}

/** Anthropic takes letters, digits, `_` and `-` only; other providers' ids have more (`functions.f:0`). */
function safeId(id: string): string {
  return id.replace(/[^\w-]/g, '_') || '_';
}

function toToolResult(message: Record<string, unknown>, path: string, notes: Notes): Anthropic.ToolResultBlockParam {
  const { tool_call_id: id, content } = message;
  if (typeof id !== 'string') throw invalid(`${path}.tool_call_id`, 'must name the call that it answers');
  const blocks = toBlocks(content, `${path}.content`, notes);
  const [only] = blocks;
  const isText = blocks.length === 1 && only?.type === 'text' && !only.cache_control;
  return {
    type: 'tool_result',
    tool_use_id: safeId(id),
    ...(blocks.length === 0 ? {} : { content: isText ? only.text : blocks }),
    ...cacheOf(message),
  };
}
