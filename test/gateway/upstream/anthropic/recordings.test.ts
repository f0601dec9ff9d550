import Anthropic from '@anthropic-ai/sdk';
import { describe, expect, test } from 'vitest';
import type { Usage } from '../../../../src/gateway/ledger/prices.ts';
import { anthropicDialect } from '../../../../src/gateway/upstream/anthropic/dialect.ts';
import { expectSameHoweverCut, type Folded, fold, plainCall, readStream, recordingsOf } from '../recordings.ts';

type Message = Anthropic.Beta.BetaMessage;

const answered = recordingsOf('anthropic').filter(({ status }) => status === 200);
/** Some recordings hold several answers, one behind the other. */
const streams = answered
  .filter(({ response }) => response.startsWith('event:'))
  .flatMap(({ file, response }) =>
    response
      .split(/(?=^event: message_start\r?$)/m)
      .map((text, at): [string, string] => [`${file}${at > 0 ? ` (${at + 1})` : ''}`, text]),
  );
const bodies = answered
  .filter(({ response }) => !response.startsWith('event:'))
  .map(({ file, response }): [string, string] => [file, response]);

/** The official SDK, to which these bytes are the answer. */
function sdk(response: string, type: string): Anthropic {
  return new Anthropic({
    apiKey: 'none',
    maxRetries: 0,
    fetch: async () => new Response(response, { headers: { 'content-type': type } }),
  });
}

const QUESTION = { model: 'm', max_tokens: 1, messages: [{ role: 'user' as const, content: 'Hi' }] };

const FINISH_REASONS: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  compaction: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  refusal: 'content_filter',
};

/** What the SDK made of an answer, as OpenAI would say it. */
function expected(message: Message): Folded {
  const usage = message.usage;
  const cached = usage.cache_read_input_tokens ?? null;
  const written = usage.cache_creation_input_tokens ?? null;
  return {
    text: message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    reasoning: message.content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
    toolCalls: message.content.flatMap((block) =>
      block.type === 'tool_use' ? [{ id: block.id, name: block.name, arguments: block.input }] : [],
    ),
    finishReason: message.stop_reason === null ? null : (FINISH_REASONS[message.stop_reason] ?? 'stop'),
    usage: {
      inputTokens: usage.input_tokens + (cached ?? 0) + (written ?? 0),
      outputTokens: usage.output_tokens,
      cachedTokens: cached,
      cacheWriteTokens: written,
      cacheWrite1hTokens: usage.cache_creation?.ephemeral_1h_input_tokens ?? null,
      reasoningTokens: usage.output_tokens_details?.thinking_tokens ?? null,
    } satisfies Usage,
    model: message.model,
    error: null,
  };
}

describe('what is recorded of Anthropic is read as its own SDK reads it', () => {
  test.skipIf(answered.length === 0)('there are some', () => expect(streams.length).toBeGreaterThan(0));

  test.each(streams)('streamed: %s', async (_file, response) => {
    const call = plainCall(anthropicDialect, true);
    const bytes = Buffer.from(response);
    const pieces = readStream(call.openStream(), [bytes]);
    const stream = sdk(response, 'text/event-stream').beta.messages.stream(QUESTION);
    const message = await stream.finalMessage();
    if (message.stop_reason === null) {
      expect(call.openStream().isFinished).toBe(false);
      return;
    }
    expect(fold(pieces)).toEqual(expected(message));
    expectSameHoweverCut(() => call.openStream(), bytes, pieces);
  });

  test.each(bodies)('whole: %s', async (_file, response) => {
    const message = await sdk(response, 'application/json').beta.messages.create(QUESTION);
    const piece = plainCall(anthropicDialect, false).readAnswer(response);
    expect(fold([piece])).toEqual(expected(message));
  });
});
