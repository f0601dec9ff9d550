import type { StreamEvent } from '../completion.ts';
import { isRecord } from '../upstream/body.ts';
import { parseChunk } from '../upstream/openai/read-chunk.ts';

type Members = Record<string, unknown>;

/** A chat answer as it would have been streamed: one event with all that it says, one with why it ended, and the usage. */
export function asChunks(body: Buffer): { events: StreamEvent[]; usageEvent: string | null } {
  const { choices, usage, ...head } = JSON.parse(body.toString('utf8')) as Members;
  const list = Array.isArray(choices) ? choices.filter(isRecord) : [];
  const write = (parts: readonly Members[], more: Members = {}) =>
    JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: parts, ...more });
  const said = write(
    list.map(({ message, ...choice }) => ({
      ...choice,
      delta: isRecord(message) ? toDelta(message) : {},
      finish_reason: null,
    })),
  );
  const ended = write(list.map(({ index, finish_reason }) => ({ index, delta: {}, finish_reason })));
  return {
    events: [said, ended].map((data, seq) => toEvent(data, seq)),
    usageEvent: isRecord(usage) ? write([], { usage }) : null,
  };
}

function toDelta({ tool_calls: calls, ...message }: Members): Members {
  if (!Array.isArray(calls)) return message;
  return { ...message, tool_calls: calls.filter(isRecord).map((call, index) => ({ index, ...call })) };
}

function toEvent(data: string, seq: number): StreamEvent {
  const chunk = parseChunk(data);
  return {
    ...{ seq, data, text: chunk?.text ?? '', reasoning: chunk?.reasoning ?? '' },
    toolCalls: chunk?.toolCalls ?? [],
  };
}
