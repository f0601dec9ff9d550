import type { StreamEvent } from './completion.ts';
import type { WholeAnswer } from './relay.ts';

/** About what an answer, an event and a piece of a tool call take besides their texts. */
const ANSWER_BYTES = 1_024;
const EVENT_BYTES = 256;
const TOOL_CALL_BYTES = 128;

/** About what an answer takes in memory besides its events. @param body what came whole; null: it was streamed */
export function bytesOfAnswer(body: WholeAnswer | null): number {
  // What it says is kept beside its bytes.
  return ANSWER_BYTES + (body?.body.length ?? 0) * 3;
}

/** About what an event takes in memory. A character may take two bytes, and what it says is kept beside its JSON. */
export function bytesOfEvent({ data, text, reasoning, toolCalls }: StreamEvent): number {
  const pieces = toolCalls.map((call) => charactersOf([call.id ?? '', call.name ?? '', call.arguments]));
  const characters = charactersOf([data, text, reasoning]) + pieces.reduce((sum, length) => sum + length, 0);
  return EVENT_BYTES + characters * 2 + pieces.length * TOOL_CALL_BYTES;
}

export function charactersOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}
