import { describe, expect, test } from 'vitest';
import { toAnthropic } from '../../../../src/gateway/upstream/anthropic/request.ts';
import { parseBody } from '../../../../src/gateway/upstream/body.ts';

function translate(members: object, name = 'claude-sonnet-4-5') {
  const body = parseBody(Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], ...members })));
  const facts = { requestId: 'r', startedAt: 0, isStreamed: false, wantsUsage: false, images: new Map() };
  return toAnthropic({ body, kind: 'ANTHROPIC', model: { name, maxOutputTokens: null }, ...facts });
}

const called = (members: object = {}, id = 'call_1') => [
  { role: 'user', content: 'weather?' },
  {
    role: 'assistant',
    content: null,
    tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
    ...members,
  },
  { role: 'tool', tool_call_id: id, content: 'sunny' },
];

describe('what Anthropic refuses', () => {
  test('thinking on after a call whose thinking did not come back', () => {
    const { params, warnings } = translate({ messages: called(), reasoning_effort: 'low', max_tokens: 10_000 });
    expect(params.thinking).toBeUndefined();
    expect(warnings.join()).toContain('reasoning_details');
    const details = [
      { type: 'reasoning.text', text: 'hm', index: 0 },
      { type: 'reasoning.text', text: ', so', index: 0 },
      { type: 'reasoning.text', signature: 'sig', index: 0 },
    ];
    const kept = translate({
      messages: called({ reasoning_details: details }),
      reasoning_effort: 'low',
      max_tokens: 10_000,
    });
    expect(kept.params.thinking).toMatchObject({ type: 'enabled' });
    expect(kept.params.messages[1]).toMatchObject({
      content: [{ type: 'thinking', thinking: 'hm, so', signature: 'sig' }, {}],
    });
  });

  test("another provider's reasoning", () => {
    const details = [{ type: 'reasoning.encrypted', data: 'x', format: 'openai-responses-v1' }];
    const { params } = translate({ messages: called({ reasoning_details: details }) });
    expect(params.messages[1]).toMatchObject({ content: [{ type: 'tool_use' }] });
  });

  test('ids with other characters, the same at call and result', () => {
    const { params } = translate({ messages: called({}, 'functions.f:0') });
    expect(params.messages[1]).toMatchObject({ content: [{ id: 'functions_f_0' }] });
    expect(params.messages[2]).toMatchObject({ content: [{ tool_use_id: 'functions_f_0' }] });
  });

  test('a small top_p while it thinks, texts of white space, image/jpg, efforts by odd names', () => {
    const thinking = translate({ reasoning_effort: 'low', top_p: 0.5, max_tokens: 10_000 });
    expect(thinking.params.top_p).toBeUndefined();
    expect(thinking.warnings.join()).toContain('top_p');
    const content = [
      { type: 'text', text: ' \n' },
      { type: 'image_url', image_url: { url: 'data:image/jpg;base64,AAAA' } },
    ];
    expect(translate({ messages: [{ role: 'user', content }] }).params.messages).toEqual([
      {
        role: 'user',
        content: [{ type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: 'AAAA' } }],
      },
    ]);
    expect(translate({ reasoning_effort: 'constructor', max_tokens: 5 }).params.max_tokens).toBe(5);
  });

  test('a list of very many parts is no fault', () => {
    const content = Array.from({ length: 300_000 }, () => 'a');
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'user', content },
    ];
    expect((translate({ messages }).params.messages[0] as { content: unknown[] }).content).toHaveLength(300_001);
  });
});
