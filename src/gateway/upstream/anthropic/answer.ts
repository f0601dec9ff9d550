import { isRecord } from '../body.ts';
import { chunkOf } from '../chunk.ts';
import { MalformedAnswer, type Piece } from '../dialect.ts';
import { parseAnswer } from '../openai/parse-answer.ts';
import { type AnswerIdentity, usageOf } from '../openai/write.ts';
import { toFinishReason } from './finish-reason.ts';
import { readUsage } from './usage.ts';

type Fields = Record<string, unknown>;

interface Call {
  id: string;
  name: string;
  arguments: string;
}

/**
 * Reads a whole Message as a chat completion.
 * @param identity what the answer is called where it has no name of its own
 * @throws MalformedAnswer
 */
export function readMessage(text: string, identity: AnswerIdentity, answerTool: string | null): Piece {
  const message = parseAnswer(text);
  if (message.type === 'error' || message.error != null)
    return { data: text, chunk: chunkOf({ error: message.error ?? message }) };
  if (!Array.isArray(message.content)) throw new MalformedAnswer('sent an answer without content');
  const { stop_reason: native } = message;
  if (typeof native !== 'string') throw new MalformedAnswer('sent an answer without a reason why it ended');
  const id = typeof message.id === 'string' && message.id ? message.id : identity.id;
  const model = typeof message.model === 'string' && message.model ? message.model : identity.model;
  const said = readBlocks(message.content.filter(isRecord), answerTool);
  const isAnswerCall = answerTool !== null && native === 'tool_use';
  const finishReason = isAnswerCall ? 'stop' : toFinishReason(native);
  const usage = readUsage(message.usage);
  const data = JSON.stringify({
    id,
    object: 'chat.completion',
    created: identity.created,
    model,
    choices: [{ index: 0, message: toMessage(said), finish_reason: finishReason, native_finish_reason: native }],
    ...(usage ? { usage: usageOf(usage) } : {}),
  });
  return {
    data,
    chunk: chunkOf({
      text: said.text,
      reasoning: said.reasoning,
      toolCalls: said.calls.map((call, index) => ({ index, ...call })),
      choices: [0],
      finishReasons: [{ choice: 0, reason: finishReason }],
      usage,
      model,
    }),
  };
}

interface Said {
  text: string;
  reasoning: string;
  calls: Call[];
  details: Fields[];
  citations: unknown[];
  foreign: Fields[];
}

function readBlocks(blocks: readonly Fields[], answerTool: string | null): Said {
  const said: Said = { text: '', reasoning: '', calls: [], details: [], citations: [], foreign: [] };
  for (const block of blocks) {
    const { type, text, thinking, signature, data, id, name, input, citations } = block;
    if (type === 'text') {
      if (typeof text === 'string') said.text += text;
      if (Array.isArray(citations)) said.citations.push(...citations);
    } else if (type === 'thinking') {
      if (typeof thinking === 'string') said.reasoning += thinking;
      said.details.push({ type: 'reasoning.text', text: thinking, signature, index: said.details.length });
    } else if (type === 'redacted_thinking') {
      said.details.push({ type: 'reasoning.encrypted', data, index: said.details.length });
    } else if (type === 'tool_use' && name === answerTool) {
      said.text += JSON.stringify(input ?? {});
    } else if (type === 'tool_use') {
      said.calls.push({ id: String(id ?? ''), name: String(name ?? ''), arguments: JSON.stringify(input ?? {}) });
    } else {
      said.foreign.push(block);
    }
  }
  return said;
}

function toMessage({ text, reasoning, calls, details, citations, foreign }: Said) {
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(calls.length === 0
      ? {}
      : { tool_calls: calls.map(({ id, ...called }) => ({ id, type: 'function', function: called })) }),
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(details.length === 0 ? {} : { reasoning_details: details }),
    ...(citations.length === 0 ? {} : { citations }),
    ...(foreign.length === 0 ? {} : { anthropic_content: foreign }),
    refusal: null,
  };
}
