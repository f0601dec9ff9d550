import { describe, expect, test } from 'vitest';
import { parseBody } from '../../../../src/gateway/upstream/body.ts';
import type { ProviderKind } from '../../../../src/gateway/upstream/kinds.ts';
import { openAIDialect } from '../../../../src/gateway/upstream/openai/dialect.ts';

/** The bytes that reach a provider of this kind, and what is said of the rest. */
function send(kind: ProviderKind, body: string, name = 'gpt') {
  const parsed = parseBody(Buffer.from(body));
  const isStreamed = parsed.chat.stream === true;
  const call = openAIDialect.prepare({
    kind,
    body: parsed,
    model: { name, maxOutputTokens: null },
    isStreamed,
    wantsUsage: parsed.chat.stream_options?.include_usage === true,
    requestId: 'r',
    startedAt: 0,
    images: new Map(),
  });
  return { sent: call.body.toString(), warnings: call.warnings };
}

describe('a request in OpenAI’s own words', () => {
  test('goes out byte for byte as it came when nothing has to change', () => {
    const body =
      '{ "model":"gpt", "messages" : [{"role":"user","content":"Hi"}], "seed":9007199254740993, "x_new":1.0}';
    expect(send('OPENAI', body)).toEqual({ sent: body, warnings: [] });
  });

  test('asks for the usage of its stream, and keeps other options', () => {
    const body = '{"model":"gpt","messages":[{"role":"user"}],"stream":true,"stream_options":{"x":1}}';
    expect(JSON.parse(send('OPENAI', body).sent).stream_options).toEqual({ x: 1, include_usage: true });
  });

  test('says the same wherever it says how much the answer may cost, whichever place the provider reads', () => {
    const body =
      '{"max_tokens":90000,"n":9,"model":"gpt","messages":[{"role":"user"}],"max_tokens":16,"n":null,"max_completion_tokens":5}';
    expect(send('CUSTOM', body).sent).toBe(
      '{"max_tokens":16,"n":null,"model":"gpt","messages":[{"role":"user"}],"max_tokens":16,"n":null,"max_completion_tokens":5}',
    );
  });

  test('loses what the kind refuses, and says so', () => {
    const body =
      '{"model":"gpt","logit_bias":{"1":2},"messages":[{"role":"user"}],"logprobs":null,"big":12345678901234567890}';
    expect(send('GROQ', body)).toEqual({
      sent: '{"model":"gpt","messages":[{"role":"user"}],"big":12345678901234567890}',
      warnings: ['`logit_bias` was left out: Groq does not take it.'],
    });
    expect(send('CUSTOM', body)).toEqual({ sent: body, warnings: [] });
  });

  test('has members under the names that the kind knows', () => {
    const body = '{"model":"gpt","messages":[{"role":"user"}],"max_completion_tokens":5,"seed":7,"stream":true}';
    const { sent, warnings } = send('MISTRAL', body);
    expect(JSON.parse(sent)).toEqual({
      model: 'gpt',
      messages: [{ role: 'user' }],
      stream: true,
      max_tokens: 5,
      random_seed: 7,
    });
    expect(warnings).toEqual([]);
  });

  test('asks no stream options of those that take none', () => {
    const body = '{"model":"gpt","messages":[{"role":"user"}],"stream":true,"stream_options":{"include_usage":true}}';
    expect(send('MISTRAL', body)).toEqual({
      sent: '{"model":"gpt","messages":[{"role":"user"}],"stream":true}',
      warnings: [],
    });
  });
});
