import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { openAIDialect } from '../../../../src/gateway/upstream/openai/dialect.ts';
import { SseReader } from '../../../../src/gateway/upstream/sse.ts';
import {
  expectSameHoweverCut,
  type Folded,
  fold,
  parseArguments,
  plainCall,
  readStream,
  recordingsOf,
} from '../recordings.ts';

/** Streams in which something is missing, and what becomes of them. All others end with a reason and without an error. */
const UNFINISHED: Readonly<Record<string, string>> = {
  'openai-test-tools-streaming-variant-a-0': 'no finish reason: the answer may be cut off, so it is a failure',
  'openai-test-tools-streaming-variant-b-0': 'no finish reason: the answer may be cut off, so it is a failure',
};

const answered = recordingsOf('openai').filter(({ status }) => status === 200);
const isStream = (response: string) => /^\s*(:|data:|event:|id:)/.test(response);
const all = answered.map(({ file, response }): [string, string] => [file, response]);
const streams = all.filter(([, response]) => isStream(response));
const bodies = all.filter(([, response]) => !isStream(response));

/** The official SDK, to which these bytes are the answer. */
function sdk(response: string, type: string): OpenAI {
  return new OpenAI({
    apiKey: 'none',
    maxRetries: 0,
    fetch: async () => new Response(response, { headers: { 'content-type': type } }),
  });
}

const QUESTION = { model: 'm', messages: [{ role: 'user' as const, content: 'Hi' }] };

/** What of a message or delta the SDK has no types for. */
interface Loose {
  content?: string | { type?: string; text?: string; thinking?: { text: string }[] }[] | null;
  reasoning?: string | null;
  reasoning_content?: string | null;
  refusal?: string | null;
  tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[] | null;
  function_call?: { name?: string; arguments?: string } | null;
}

/** What the SDK gave, in the order in which it came, as one answer. */
function expected(parts: readonly { loose: Loose; finishReason: string | null }[], tail: Partial<Folded>): Folded {
  const calls = new Map<number, { id: string | null; name: string; arguments: string }>();
  let [text, reasoning] = ['', ''];
  for (const { loose } of parts) {
    const { content } = loose;
    text += typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('');
    const thought = Array.isArray(content) ? content.flatMap((part) => part.thinking ?? []) : [];
    reasoning += loose.reasoning_content || loose.reasoning || thought.map((part) => part.text).join('');
    const legacy = loose.function_call ? [{ index: 0, function: loose.function_call }] : [];
    for (const [position, call] of [...(loose.tool_calls ?? []), ...legacy].entries()) {
      const before = calls.get(call.index ?? position) ?? { id: null, name: '', arguments: '' };
      calls.set(call.index ?? position, {
        id: before.id ?? ('id' in call ? (call.id ?? null) : null),
        name: before.name || (call.function?.name ?? ''),
        arguments: before.arguments + (call.function?.arguments ?? ''),
      });
    }
  }
  return {
    text,
    reasoning,
    toolCalls: [...calls]
      .sort(([a], [b]) => a - b)
      .map(([, call]) => ({ ...call, arguments: parseArguments(call.arguments) })),
    finishReason: parts.find(({ finishReason }) => finishReason)?.finishReason ?? null,
    usage: null,
    model: null,
    error: null,
    ...tail,
  };
}

type RawUsage = OpenAI.CompletionUsage & Record<string, unknown>;

function usageOf(raw: OpenAI.CompletionUsage | null | undefined): Folded['usage'] {
  if (!raw) return null;
  const usage = raw as RawUsage;
  const reasoning = usage.completion_tokens_details?.reasoning_tokens ?? (usage.reasoning_tokens as number | undefined);
  // xAI counts reasoning beside the completion; everybody else within it.
  const isBeside = reasoning && usage.total_tokens === usage.prompt_tokens + usage.completion_tokens + reasoning;
  const cached = [usage.prompt_tokens_details?.cached_tokens, usage.prompt_cache_hit_tokens, usage.cached_tokens];
  const written = usage.prompt_tokens_details as { cache_write_tokens?: number } | null | undefined;
  return {
    inputTokens: usage.prompt_tokens,
    outputTokens: usage.completion_tokens + (isBeside ? reasoning : 0),
    cachedTokens: (cached.find((one) => one != null) as number | undefined) ?? null,
    cacheWriteTokens: written?.cache_write_tokens ?? null,
    cacheWrite1hTokens: null,
    reasoningTokens: reasoning ?? null,
  };
}

describe('what is recorded of OpenAI and those who speak like it is read as the SDK reads it', () => {
  test.skipIf(answered.length === 0)('there are some', () => expect(streams.length).toBeGreaterThan(0));

  test.each(streams)('streamed: %s', async (file, response) => {
    const call = plainCall(openAIDialect, true);
    const bytes = Buffer.from(response);
    const reader = call.openStream();
    const pieces = readStream(reader, [bytes]);
    const parts: Parameters<typeof expected>[0][number][] = [];
    let usage: OpenAI.CompletionUsage | null = null;
    let model: string | null = null;
    const stream = await sdk(response, 'text/event-stream').chat.completions.create({ ...QUESTION, stream: true });
    for await (const chunk of stream) {
      model = chunk.model || model;
      usage = chunk.usage ?? (chunk as { x_groq?: { usage?: OpenAI.CompletionUsage } }).x_groq?.usage ?? usage;
      for (const { delta, finish_reason: finishReason } of chunk.choices ?? [])
        parts.push({ loose: (delta ?? {}) as Loose, finishReason: finishReason || null });
    }
    expect(fold(pieces)).toEqual(expected(parts, { usage: usageOf(usage), model }));
    expect(reader.isFinished).toBe(!Object.hasOwn(UNFINISHED, file));
    expectSameHoweverCut(() => call.openStream(), bytes, pieces);
    // Nothing of what was sent is lost on the way to the client.
    const sse = new SseReader();
    const sent = [...sse.push(bytes), ...sse.end()].filter((data) => data.trim() !== '[DONE]');
    expect(pieces.map(({ data }) => data)).toEqual(sent);
  });

  test.each(bodies)('whole: %s', async (_file, response) => {
    const piece = plainCall(openAIDialect, false).readAnswer(response);
    expect(piece.data).toBe(response);
    const answer = await sdk(response, 'application/json').chat.completions.create(QUESTION);
    if ('error' in answer) {
      expect(piece.chunk.error).toEqual(answer.error);
      return;
    }
    const parts = answer.choices.map(({ message, finish_reason: finishReason }) => ({
      loose: (message ?? {}) as Loose,
      finishReason,
    }));
    expect(fold([piece])).toEqual(expected(parts, { usage: usageOf(answer.usage), model: answer.model }));
  });
});
