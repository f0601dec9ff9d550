import { describe, expect, it } from 'vitest';
import type { CompletionInput } from '../../../src/control/completions/input.ts';
import { toOpenAI } from '../../../src/control/completions/to-openai.ts';
import { ValidationError } from '../../../src/platform/errors.ts';

const messages: CompletionInput['messages'] = [{ role: 'USER', content: 'Hi' }];

function body(input: Partial<CompletionInput>, isStreamed = false): unknown {
  return JSON.parse(toOpenAI({ messages, ...input }, isStreamed).body.toString());
}

function issues(input: Partial<CompletionInput>): unknown {
  try {
    toOpenAI({ messages, ...input }, false);
  } catch (error) {
    if (error instanceof ValidationError) return error.issues.map(({ path }) => path);
    throw error;
  }
  return [];
}

describe('the body of a completion', () => {
  it('holds only what the input says', () => {
    expect(body({})).toEqual({ messages: [{ role: 'user', content: 'Hi' }] });
    expect(body({}, true)).toEqual({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
  });

  it('has OpenAI’s names for every field', () => {
    expect(
      body({
        model: 'default',
        messages: [
          { role: 'SYSTEM', content: 'Be brief.' },
          {
            role: 'USER',
            parts: [{ text: 'What is this?' }, { imageUrl: { url: 'https://x.test/a.png', detail: 'LOW' } }],
          },
          { role: 'ASSISTANT', toolCalls: [{ id: 'c1', name: 'look', arguments: '{}' }] },
          { role: 'TOOL', toolCallId: 'c1', content: 'A cat.' },
        ],
        maxOutputTokens: 10,
        temperature: 0,
        topP: 1,
        stop: ['\n'],
        seed: 7,
        tools: [{ name: 'look', description: 'Looks.', parameters: { type: 'object' } }],
        toolChoice: { tool: 'look' },
        responseFormat: { type: 'JSON_SCHEMA', name: 'cat', schema: { type: 'object' }, isStrict: true },
        reasoningEffort: 'LOW',
        user: 'u1',
        extra: { parallel_tool_calls: false, sandbox: { seed: 1 } },
      }),
    ).toEqual({
      model: 'default',
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'https://x.test/a.png', detail: 'low' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } }],
        },
        { role: 'tool', content: 'A cat.', tool_call_id: 'c1' },
      ],
      max_completion_tokens: 10,
      temperature: 0,
      top_p: 1,
      stop: ['\n'],
      seed: 7,
      tools: [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters: { type: 'object' } } }],
      tool_choice: { type: 'function', function: { name: 'look' } },
      response_format: { type: 'json_schema', json_schema: { name: 'cat', schema: { type: 'object' }, strict: true } },
      reasoning_effort: 'low',
      user: 'u1',
      parallel_tool_calls: false,
      sandbox: { seed: 1 },
    });
  });

  it('keeps tags out of the body', () => {
    const { body, tags } = toOpenAI({ messages, tags: [{ name: 'team', value: 'blue' }] }, false);
    expect(tags).toEqual({ team: 'blue' });
    expect(body.toString()).not.toContain('blue');
  });
});

describe('what is refused, with the path of the field', () => {
  it.each<[string, Partial<CompletionInput>, string[]]>([
    ['no messages', { messages: [] }, ['messages']],
    ['a message without content', { messages: [{ role: 'USER' }] }, ['messages.0.content']],
    ['content and parts', { messages: [{ role: 'USER', content: 'a', parts: [{ text: 'b' }] }] }, ['messages.0.parts']],
    ['a tool result of no call', { messages: [{ role: 'TOOL', content: 'a' }] }, ['messages.0.toolCallId']],
    ['an impossible temperature', { temperature: 2.1 }, ['temperature']],
    ['a schema without its type', { responseFormat: { type: 'TEXT', schema: {} } }, ['responseFormat.schema']],
    ['parameters that are no object', { tools: [{ name: 'a', parameters: [] }] }, ['tools.0.parameters']],
    ['an extra that is no object', { extra: 'model=x' }, ['extra']],
    ['eleven tags', { tags: Array.from({ length: 11 }, (_, i) => ({ name: `${i}`, value: '' })) }, ['tags']],
    [
      'the same tag twice',
      {
        tags: [
          { name: 'a', value: '1' },
          { name: 'a', value: '2' },
        ],
      },
      ['tags.1.name'],
    ],
    ['a tag with control characters', { tags: [{ name: 'a\0', value: '' }] }, ['tags.0.name']],
  ])('%s', (_what, input, paths) => {
    expect(issues(input)).toEqual(paths);
  });

  it('an extra member that a field or the operation sets', () => {
    expect(issues({ extra: { temperature: 1, stream: true, n: 2, custom: 1 } })).toEqual([
      'extra.temperature',
      'extra.stream',
      'extra.n',
    ]);
    expect(issues({ extra: { max_tokens: 5 }, maxOutputTokens: 5 })).toEqual(['extra.max_tokens']);
    expect(body({ extra: { max_tokens: 5 } })).toMatchObject({ max_tokens: 5 });
  });

  it('names at most 20 of a thousand wrong fields', () => {
    const wrong = Array.from({ length: 1_000 }, () => ({ role: 'USER' as const }));
    expect(issues({ messages: wrong })).toHaveLength(20);
  });
});
