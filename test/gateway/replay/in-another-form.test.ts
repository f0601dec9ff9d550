import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CompletionReport } from '../../../src/gateway/completion.ts';
import { asChunks } from '../../../src/gateway/replay/as-chunks.ts';
import { Assembly } from '../../../src/gateway/replay/assembly.ts';

const report = {
  usage: { inputTokens: 3, outputTokens: 4, cachedTokens: 1, cacheWriteTokens: null, reasoningTokens: 2 },
};

function assemble(chunks: readonly (object | string)[], usageEvent: string | null = null) {
  const assembly = new Assembly();
  for (const chunk of chunks) assembly.add(typeof chunk === 'string' ? chunk : JSON.stringify(chunk));
  const { body, chunk } = assembly.finish(report as CompletionReport, usageEvent);
  return { answer: JSON.parse(body.toString()), chunk };
}

const envelope = {
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 7,
  model: 'gpt',
  system_fingerprint: 'fp',
};
const delta = (members: object, more: object = {}, index = 0) => ({
  ...envelope,
  choices: [{ index, delta: members, finish_reason: null, ...more }],
});

describe('a stream as one answer', () => {
  test('joins texts, reasoning, refusals and token probabilities of every choice', () => {
    const { answer, chunk } = assemble([
      delta({ role: 'assistant', content: '', refusal: null }),
      delta({ content: 'Hel', reasoning_content: 'I ' }, { logprobs: { content: [{ token: 'Hel' }], refusal: null } }),
      delta({ content: 'lo', reasoning_content: 'think' }, { logprobs: { content: [{ token: 'lo' }], refusal: null } }),
      delta({ role: 'assistant', content: 'Second' }, {}, 1),
      delta({}, { finish_reason: 'length' }, 1),
      delta({}, { finish_reason: 'stop' }),
    ]);
    expect(answer).toEqual({
      ...envelope,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello', refusal: null, reasoning_content: 'I think' },
          finish_reason: 'stop',
          logprobs: { content: [{ token: 'Hel' }, { token: 'lo' }], refusal: null },
        },
        { index: 1, message: { role: 'assistant', content: 'Second' }, finish_reason: 'length' },
      ],
      usage: expect.objectContaining({ prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }),
    });
    expect(chunk).toMatchObject({ text: 'HelloSecond', reasoning: 'I think' });
  });

  test('joins tool calls whose pieces come mixed, and which providers repeat the names of', () => {
    const call = (index: number, text: string, more: object = {}) =>
      delta({
        tool_calls: [{ index, ...more, function: { ...('id' in more ? { name: `f${index}` } : {}), arguments: text } }],
      });
    const { answer } = assemble([
      call(0, '{"a"', { id: 'a', type: 'function' }),
      call(1, '{', { id: 'b', type: 'function' }),
      call(0, ':1}', { id: 'a', type: 'function' }),
      call(1, '}'),
      delta({}, { finish_reason: 'tool_calls' }),
    ]);
    expect(answer.choices[0].message).toEqual({
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'a', type: 'function', function: { name: 'f0', arguments: '{"a":1}' } },
        { id: 'b', type: 'function', function: { name: 'f1', arguments: '{}' } },
      ],
    });
  });

  test('keeps content in parts, and has the provider’s own usage where it told it', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    const thinking = { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] };
    const { answer } = assemble(
      [delta({ content: [thinking] }), delta({ content: 'So' }), delta({}, { finish_reason: 'stop' })],
      JSON.stringify({ ...envelope, choices: [], usage }),
    );
    expect(answer.choices[0].message.content).toEqual([thinking, { type: 'text', text: 'So' }]);
    expect(answer.usage).toEqual(usage);
  });
});

test('one answer as a stream, put together again, is the answer', () => {
  const call = fc.record({
    id: fc.string({ minLength: 1 }),
    type: fc.constant('function'),
    function: fc.record({ name: fc.string({ minLength: 1 }), arguments: fc.string() }),
  });
  const message = fc.record(
    {
      role: fc.constant('assistant'),
      content: fc.option(fc.string()),
      refusal: fc.option(fc.string()),
      reasoning: fc.string(),
      tool_calls: fc.array(call, { minLength: 1 }),
    },
    { requiredKeys: ['role', 'content'] },
  );
  const choices = fc.array(
    fc.record({ message, finish_reason: fc.constantFrom('stop', 'tool_calls'), logprobs: fc.constant(null) }),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(choices, fc.option(fc.constant({ prompt_tokens: 1, completion_tokens: 2 })), (list, usage) => {
      const whole = {
        ...envelope,
        object: 'chat.completion',
        choices: list.map((choice, index) => ({ index, ...choice })),
        ...(usage ? { usage } : {}),
      };
      const { events, usageEvent } = asChunks(Buffer.from(JSON.stringify(whole)));
      expect(events.map(({ seq }) => seq)).toEqual([0, 1]);
      expect(events.map(({ text }) => text).join('')).toBe(list.map((choice) => choice.message.content ?? '').join(''));
      const { answer } = assemble(
        events.map(({ data }) => data),
        usageEvent,
      );
      expect(answer).toEqual({ ...whole, usage: usage ?? answer.usage });
    }),
  );
});
