import type { ToolCallDelta } from '../../completion.ts';
import { isRecord } from '../body.ts';
import type { Chunk } from '../chunk.ts';
import type { Piece } from '../dialect.ts';
import { readCost, readUsage } from './usage.ts';

/** Reads one event. Null when it is not a JSON object; providers do send broken ones, and the rest may be whole. */
export function parseChunk(data: string): Chunk | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  return isRecord(value) ? readChunk(value, 'delta') : null;
}

/** Reads a whole answer. */
export function readCompletion(value: Record<string, unknown>): Chunk {
  return readChunk(value, 'message');
}

/** An error as it came, or, where OpenRouter puts it into a choice, without what stands around it. */
export function errorPiece(data: string, chunk: Chunk): Piece {
  return { data: chunk.choices.length > 0 ? JSON.stringify({ error: chunk.error }) : data, chunk };
}

/** @param part what of each choice counts; Perplexity sends the other one as well, with something else in it */
function readChunk(value: Record<string, unknown>, part: 'delta' | 'message'): Chunk {
  const chunk = {
    text: '',
    reasoning: '',
    refusal: '',
    toolCalls: [] as ToolCallDelta[],
    finishReasons: [] as { choice: number; reason: string }[],
    choices: [] as number[],
    usage: readUsage(value.usage) ?? readUsage(isRecord(value.x_groq) ? value.x_groq.usage : null),
    usageSoFar: null,
    cost: readCost(value.usage),
    isUsageOnly: false,
    model: typeof value.model === 'string' && value.model !== '' ? value.model : null,
    error: value.error ?? null,
  };
  const choices = Array.isArray(value.choices) ? value.choices.filter(isRecord) : [];
  chunk.isUsageOnly = choices.length === 0 && chunk.usage !== null;
  for (const choice of choices) {
    const index = typeof choice.index === 'number' ? choice.index : 0;
    chunk.choices.push(index);
    if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') {
      chunk.finishReasons.push({ choice: index, reason: choice.finish_reason });
    }
    if (isRecord(choice.error)) chunk.error = choice.error;
    const other = part === 'delta' ? choice.message : choice.delta;
    const delta = isRecord(choice[part]) ? choice[part] : isRecord(other) ? other : null;
    if (!delta) continue;
    chunk.text += readContent(delta.content);
    chunk.reasoning += readText(delta.reasoning_content) || readText(delta.reasoning) || readThinking(delta.content);
    chunk.refusal += readText(delta.refusal);
    if (Array.isArray(delta.tool_calls)) chunk.toolCalls.push(...delta.tool_calls.filter(isRecord).map(readToolCall));
    // What tool calls were called when there was but one.
    if (isRecord(delta.function_call)) chunk.toolCalls.push(readToolCall({ function: delta.function_call }, 0));
  }
  return chunk;
}

/** Content is text, or (Mistral) a list of parts of which the text ones count here. */
export function readContent(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (isRecord(part) ? readText(part.text) : '')).join('');
}

/** Mistral's models think in parts of the content. */
function readThinking(content: unknown): string {
  if (!Array.isArray(content)) return '';
  return content.map((part) => (isRecord(part) && part.type === 'thinking' ? readContent(part.thinking) : '')).join('');
}

function readToolCall(call: Record<string, unknown>, position: number): ToolCallDelta {
  const fn = isRecord(call.function) ? call.function : {};
  return {
    index: typeof call.index === 'number' ? call.index : position,
    id: typeof call.id === 'string' ? call.id : null,
    name: typeof fn.name === 'string' ? fn.name : null,
    arguments: readText(fn.arguments),
  };
}

function readText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
