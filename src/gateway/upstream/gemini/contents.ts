import type { Content, Part } from '@google/genai';
import { invalid } from '../../../platform/errors.ts';
import { isRecord } from '../body.ts';
import { parseCallArguments } from '../call-arguments.ts';
import type { InlineImage } from '../dialect.ts';
import type { Notes } from '../notes.ts';
import { textOf, toParts } from './parts.ts';

export interface Conversation {
  system: Part[];
  contents: { role: 'user' | 'model'; parts: Part[] }[];
}

type Images = ReadonlyMap<string, InlineImage>;

/**
 * A conversation in Gemini's words: what system and developer say stands before it, tool results are said by the user,
 * and who speaks twice in a row speaks once.
 * @param needsSignatures the model refuses calls that are not signed, as those of other models are
 * @throws ValidationError for messages that cannot be said
 */
export function toConversation(
  messages: readonly unknown[],
  images: Images,
  notes: Notes,
  needsSignatures: boolean,
): Conversation {
  const conversation: Conversation = { system: [], contents: [] };
  /** Names of the functions that were called, by the id of the call: results name their function, too. */
  const called = new Map<string, string>();
  for (const [at, message] of messages.entries()) {
    const path = `messages.${at}`;
    if (!isRecord(message)) throw invalid(path, 'must be an object');
    const { role, content } = message;
    const parts = () => toParts(content, `${path}.content`, images, notes);
    if (role === 'system' || role === 'developer') for (const part of parts()) conversation.system.push(part);
    else if (role === 'user') say(conversation, 'user', parts());
    else if (role === 'assistant') say(conversation, 'model', toModel(message, parts(), path, called));
    else if (role === 'tool' || role === 'function')
      say(conversation, 'user', toResult(message, path, images, called, notes));
    else throw invalid(`${path}.role`, 'must be system, developer, user, assistant or tool');
  }
  if (needsSignatures) for (const { role, parts } of conversation.contents) if (role === 'model') signFirstCall(parts);
  return conversation;
}

/** Google's own way out for calls that another model made: https://ai.google.dev/gemini-api/docs/thought-signatures */
const NO_SIGNATURE = 'skip_thought_signature_validator';

/** Of several calls at once the first one carries the signature. */
function signFirstCall(parts: Part[]): void {
  const first = parts.find(({ functionCall }) => functionCall !== undefined);
  if (first) first.thoughtSignature ??= NO_SIGNATURE;
}

function say({ contents }: Conversation, role: 'user' | 'model', parts: Part[]): void {
  if (parts.length === 0) return;
  const last = contents.at(-1);
  if (last?.role === role) for (const part of parts) last.parts.push(part);
  else contents.push({ role, parts });
}

function toModel(
  message: Record<string, unknown>,
  parts: Part[],
  path: string,
  called: Map<string, string>,
): NonNullable<Content['parts']> {
  const signature = signatureIn(message);
  const last = parts.at(-1);
  if (signature && last) last.thoughtSignature = signature;
  const { tool_calls: calls } = message;
  if (!Array.isArray(calls)) return parts;
  return [...parts, ...calls.map((call, at) => toCall(call, `${path}.tool_calls.${at}`, called))];
}

function toCall(call: unknown, path: string, called: Map<string, string>): Part {
  const { id, function: fn } = isRecord(call) ? call : {};
  const { name, arguments: text } = isRecord(fn) ? fn : {};
  if (typeof name !== 'string') throw invalid(path, 'must have a function name');
  if (typeof id === 'string') called.set(id, name);
  const signature = isRecord(call) ? signatureIn(call) : null;
  return {
    functionCall: { name, args: parseCallArguments(text, `${path}.function.arguments`) },
    ...(signature ? { thoughtSignature: signature } : {}),
  };
}

/** Where Google's own OpenAI-compatible API puts the signature of a thought. */
function signatureIn({ extra_content: extra }: Record<string, unknown>): string | null {
  const google = isRecord(extra) ? extra.google : null;
  const signature = isRecord(google) ? google.thought_signature : null;
  return typeof signature === 'string' && signature !== '' ? signature : null;
}

/** A result must be an object: a text that is none is wrapped. */
function toResult(
  message: Record<string, unknown>,
  path: string,
  images: Images,
  called: ReadonlyMap<string, string>,
  notes: Notes,
): Part[] {
  const { tool_call_id: id, name: ownName, content } = message;
  const name = (typeof id === 'string' ? called.get(id) : undefined) ?? ownName;
  if (typeof name !== 'string') throw invalid(`${path}.tool_call_id`, 'must name a call of an earlier message');
  const parts = toParts(content, `${path}.content`, images, notes);
  const text = textOf(parts);
  const value = parseJson(text);
  const response = isRecord(value) ? value : { output: text };
  // What is no text follows the result that it belongs to.
  return [{ functionResponse: { name, response } }, ...parts.filter((part) => part.text === undefined)];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
