import type { ToolCallDelta } from '../../completion.ts';
import type { Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';
import { readUsage } from './usage.ts';

/** What one event of a stream says, beside the JSON text that is relayed as it came. */
export interface Chunk {
  text: string;
  reasoning: string;
  toolCalls: readonly ToolCallDelta[];
  refusal: string;
  /** Finish reasons by the index of their choice. */
  finishReasons: readonly { choice: number; reason: string }[];
  /** Indices of all choices that the event names. */
  choices: readonly number[];
  usage: Usage | null;
  /** An event that only brings usage; relayed only to clients that asked for it. */
  isUsageOnly: boolean;
  model: string | null;
  /** An error inside the stream: the provider's own object or text. */
  error: unknown;
}

/** Whether the event is a reason to answer the client: until one comes, another provider can still be tried. */
export function isMeaningful(chunk: Chunk): boolean {
  return (
    chunk.text !== '' ||
    chunk.reasoning !== '' ||
    chunk.refusal !== '' ||
    chunk.toolCalls.length > 0 ||
    chunk.finishReasons.length > 0
  );
}

/** Reads one event. Null when it is not a JSON object; providers do send broken ones, and the rest may be whole. */
export function readChunk(data: string): Chunk | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const chunk = {
    text: '',
    reasoning: '',
    refusal: '',
    toolCalls: [] as ToolCallDelta[],
    finishReasons: [] as { choice: number; reason: string }[],
    choices: [] as number[],
    usage: readUsage(value.usage) ?? readUsage(isRecord(value.x_groq) ? value.x_groq.usage : null),
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
    const delta = isRecord(choice.delta) ? choice.delta : isRecord(choice.message) ? choice.message : null;
    if (!delta) continue;
    chunk.text += readContent(delta.content);
    chunk.reasoning += readText(delta.reasoning_content) || readText(delta.reasoning);
    chunk.refusal += readText(delta.refusal);
    if (Array.isArray(delta.tool_calls)) chunk.toolCalls.push(...delta.tool_calls.filter(isRecord).map(readToolCall));
  }
  return chunk;
}

/** Content is text, or (Mistral) a list of parts of which the text ones count here. */
export function readContent(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (isRecord(part) ? readText(part.text) : '')).join('');
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
