import type { Answer, Finish } from '../answer.ts';
import type { WholeChoice } from '../dialect.ts';
import { signatureOf } from '../signature.ts';
import type { Tally } from '../tally.ts';

const STOP_REASONS = { length: 'max_tokens', tool_calls: 'tool_use', content_filter: 'refusal' } as const;

/** A Message, read to its end. */
export function writeMessage(
  answer: Answer,
  choices: readonly WholeChoice[],
  tally: Tally,
  hidesThinking: boolean,
): string {
  const content = choices.flatMap((choice, index) => [
    ...(choice.reasoning
      ? [
          {
            type: 'thinking',
            thinking: hidesThinking ? '' : choice.reasoning,
            signature: signatureOf(answer.choices[index]?.digest ?? ''),
          },
        ]
      : []),
    ...(choice.text ? [{ type: 'text', text: choice.text }] : []),
    ...choice.calls.map((call) => ({
      type: 'tool_use',
      id: `toolu_${call.id}`,
      name: call.name,
      input: inputOf(call.arguments),
    })),
  ]);
  const [only] = choices;
  return JSON.stringify({
    ...messageHead(answer),
    content,
    ...(only && endOf(only.finish)),
    usage: { ...wholePromptUsage(answer), ...outputUsage(tally), service_tier: 'standard' },
  });
}

/** What a message says of itself before its content. */
export function messageHead({ id, model }: Answer) {
  return { id, type: 'message', role: 'assistant', model };
}

/** How a message ended, in the members that `message_delta` has as well. */
export function endOf({ reason, stopSequence }: Finish) {
  return {
    stop_reason: reason === 'stop' ? (stopSequence === null ? 'end_turn' : 'stop_sequence') : STOP_REASONS[reason],
    stop_sequence: stopSequence,
    stop_details:
      reason === 'content_filter'
        ? { type: 'refusal', category: null, explanation: 'The sandbox refuses, as asked.' }
        : null,
  };
}

/** The usage of the prompt. `input_tokens` are those that the cache neither gave nor got. */
export function promptUsage({ promptTokens, cachedTokens, cacheWriteTokens }: Answer) {
  return {
    input_tokens: promptTokens - cachedTokens - cacheWriteTokens,
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cachedTokens,
  };
}

/** The usage of the prompt, with the cache's writes by how long they last. */
export function wholePromptUsage(answer: Answer) {
  const { cacheWriteTokens } = answer;
  return {
    ...promptUsage(answer),
    cache_creation: { ephemeral_5m_input_tokens: cacheWriteTokens, ephemeral_1h_input_tokens: 0 },
  };
}

/** The usage of the answer so far, thinking included. */
export function outputUsage({ completion, reasoning }: Tally) {
  return { output_tokens: completion, output_tokens_details: { thinking_tokens: reasoning } };
}

/** The arguments of a call; those of one that was cut off are none. */
function inputOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return {};
  }
}
