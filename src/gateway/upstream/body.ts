import { isUtf8 } from 'node:buffer';
import { invalid, ValidationError, type ValidationIssue } from '../../platform/errors.ts';

/** The members of a chat completions body that Signalbox looks at; the rest is the provider's business. */
export interface ChatBody {
  model?: string | null;
  messages: readonly unknown[];
  stream?: boolean | null;
  stream_options?: Record<string, unknown> | null;
  n?: number | null;
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  [member: string]: unknown;
}

/** A request body: its bytes as received, and what they say. */
export interface ParsedBody {
  bytes: Buffer;
  chat: ChatBody;
}

export const LONGEST_MODEL_NAME = 300;

/**
 * Reads a chat completions body.
 * @throws ValidationError when it is not JSON in UTF-8, or a member that Signalbox needs has the wrong type
 */
export function parseBody(bytes: Buffer): ParsedBody {
  const value = parseJsonObject(bytes);
  const issues = check(value);
  if (issues.length > 0) throw new ValidationError(issues);
  return { bytes, chat: value as unknown as ChatBody };
}

/** @throws ValidationError when the bytes are not a JSON object in UTF-8 */
export function parseJsonObject(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw invalid('', 'The body is not valid UTF-8.');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw invalid('', 'The body is not valid JSON.');
  }
  if (!isRecord(value)) throw invalid('', 'The body must be a JSON object.');
  return value;
}

/** The most tokens the body lets the provider answer, for each of its `n` choices; null when it sets no limit. */
export function outputLimit(chat: ChatBody): number | null {
  return chat.max_completion_tokens ?? chat.max_tokens ?? null;
}

function check(chat: Record<string, unknown>): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const wrong = (path: string, message: string) => issues.push({ path, message });
  const { model, messages, stream, stream_options: streamOptions } = chat;
  if (model != null && typeof model !== 'string') wrong('model', 'must be a string');
  if (typeof model === 'string' && model.length > LONGEST_MODEL_NAME) {
    wrong('model', `must be at most ${LONGEST_MODEL_NAME} characters`);
  }
  if (!Array.isArray(messages) || messages.length === 0) wrong('messages', 'must be a list with at least one message');
  else if (!messages.every(isRecord)) wrong('messages', 'must hold objects with role and content');
  if (stream != null && typeof stream !== 'boolean') wrong('stream', 'must be true or false');
  if (streamOptions != null && !isRecord(streamOptions)) wrong('stream_options', 'must be an object');
  for (const name of ['n', 'max_tokens', 'max_completion_tokens']) {
    const limit = name === 'n' ? 128 : 2_147_483_647;
    const number = chat[name];
    if (number == null) continue;
    if (!Number.isInteger(number) || (number as number) < 1 || (number as number) > limit) {
      wrong(name, `must be a whole number from 1 to ${limit}`);
    }
  }
  return issues;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
