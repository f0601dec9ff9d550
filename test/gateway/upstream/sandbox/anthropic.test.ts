import Anthropic from '@anthropic-ai/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { countTokens } from '../../../../src/gateway/upstream/sandbox/tokens.ts';
import { anthropicSdk, postMessages, readEvents, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const Weather = z.strictObject({ city: z.string().min(3), unit: z.enum(['c', 'f']), days: z.int().min(2) });
const tools = [
  {
    name: 'get_weather',
    description: 'The weather',
    input_schema: z.toJSONSchema(Weather) as Anthropic.Tool.InputSchema,
  },
  { name: 'get_time', input_schema: { type: 'object' as const } },
];
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

type Params = Partial<Anthropic.MessageCreateParamsNonStreaming>;

function paramsOf(
  content: Anthropic.MessageParam['content'],
  extra: Params,
): Anthropic.MessageCreateParamsNonStreaming {
  return { model: 'sandbox-small', max_tokens: 4096, messages: [{ role: 'user', content }], ...extra };
}

/** The answer to one user message, asked for plainly and as a stream, which must say the same. */
async function ask(content: Anthropic.MessageParam['content'], extra: Params = {}): Promise<Anthropic.Message> {
  const client = anthropicSdk(sandbox.current);
  const plain = await client.messages.create(paramsOf(content, extra));
  const streamed = await client.messages.stream(paramsOf(content, extra)).finalMessage();
  const { usage, ...said } = plain;
  expect(streamed).toMatchObject({
    ...said,
    usage: { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens },
  });
  return plain;
}

function textOf({ content }: Anthropic.Message): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

function callsOf({ content }: Anthropic.Message): Anthropic.ToolUseBlock[] {
  return content.filter((block) => block.type === 'tool_use');
}

describe('a Message', () => {
  it('quotes the user, says that it is made up, and counts the tokens of its own text', async () => {
    const message = await ask('Tell me about “Zürich” 🚂', { system: 'Be brief.' });
    expect(message).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'sandbox-small',
      stop_reason: 'end_turn',
    });
    expect(message.id).toMatch(/^msg_/);
    expect(textOf(message)).toContain('Signalbox sandbox');
    expect(textOf(message)).toContain('“Zürich” 🚂');
    expect(message.usage.output_tokens).toBe(countTokens(textOf(message)));
  });

  it('counts the system prompt, as text or blocks, and images from data and addresses', async () => {
    const input = async (content: Anthropic.MessageParam['content'], extra: Params = {}) =>
      (await ask(content, extra)).usage.input_tokens;
    const short = await input('one two');
    expect(await input('one two', { system: 'three four' })).toBeGreaterThan(short);
    expect(await input('one two', { system: [{ type: 'text', text: 'three four' }] })).toBe(
      await input('one two', { system: 'three four' }),
    );
    const inline: Anthropic.Base64ImageSource = { type: 'base64', media_type: 'image/png', data: PIXEL };
    for (const source of [inline, { type: 'url' as const, url: 'https://example.com/a.png' }]) {
      expect(
        await input([
          { type: 'text', text: 'one two' },
          { type: 'image', source },
        ]),
      ).toBeGreaterThan(short);
    }
  });

  it('ends at max_tokens and at a stop sequence, which it names', async () => {
    const cut = await ask('Good morning', { max_tokens: 5 });
    expect(cut).toMatchObject({ stop_reason: 'max_tokens', stop_sequence: null, usage: { output_tokens: 5 } });
    const whole = textOf(await ask('Good morning'));
    const stopped = await ask('Good morning', { stop_sequences: ['never said', 'box sand'] });
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: 'box sand' });
    expect(textOf(stopped)).toBe(whole.slice(0, whole.indexOf('box sand')));
  });

  it('reports what the cache gave and got beside the other input', async () => {
    const plain = (await (await postMessages(sandbox.current)).json()).usage;
    expect(plain).toMatchObject({ cache_read_input_tokens: 0, cache_creation_input_tokens: 0 });
    const controls = { cachedTokens: 2, cacheWriteTokens: 1 };
    const { usage } = await (await postMessages(sandbox.current, { sandbox: controls })).json();
    expect(usage).toMatchObject({
      input_tokens: plain.input_tokens - 3,
      cache_read_input_tokens: 2,
      cache_creation_input_tokens: 1,
      cache_creation: { ephemeral_5m_input_tokens: 1, ephemeral_1h_input_tokens: 0 },
    });
    const all = await postMessages(sandbox.current, { sandbox: { cachedTokens: 999, cacheWriteTokens: 999 } });
    expect((await all.json()).usage).toMatchObject({ input_tokens: 0, cache_creation_input_tokens: 0 });
  });

  it('gives what a schema asks for', async () => {
    const format = { type: 'json_schema' as const, schema: z.toJSONSchema(Weather) };
    const message = await ask('Good morning', { output_config: { format } });
    expect(Weather.parse(JSON.parse(textOf(message))).days).toBeGreaterThanOrEqual(2);
  });
});

describe('the events of a stream', () => {
  it('are named as their data is typed, one token in each delta, and stop with message_stop', async () => {
    const body = await (await postMessages(sandbox.current, { stream: true })).text();
    const events = body
      .trimEnd()
      .split('\n\n')
      .map((event) => event.split('\n'));
    for (const [name, data] of events) expect(`event: ${JSON.parse(data?.slice(6) ?? '').type}`).toBe(name);
    const types = events.map(([name]) => name?.slice('event: '.length));
    expect(types.slice(0, 3)).toEqual(['message_start', 'content_block_start', 'ping']);
    expect(types.slice(-3)).toEqual(['content_block_stop', 'message_delta', 'message_stop']);
    const deltas = events.map(([, data]) => JSON.parse(data?.slice(6) ?? '')).filter(({ delta }) => delta?.text);
    expect(deltas.every(({ delta }) => countTokens(delta.text) === 1)).toBe(true);
  });

  it('carry the usage of the prompt at the start and all of it at the end', async () => {
    const { data } = await readEvents(await postMessages(sandbox.current, { stream: true }));
    const { usage } = await (await postMessages(sandbox.current)).json();
    expect(JSON.parse(data[0] ?? '').message.usage).toMatchObject({
      input_tokens: usage.input_tokens,
      output_tokens: 1,
    });
    expect(JSON.parse(data.at(-2) ?? '').usage).toEqual({
      input_tokens: usage.input_tokens,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: usage.output_tokens,
      output_tokens_details: { thinking_tokens: 0 },
    });
  });
});

describe('tools', () => {
  it('are called when the user mentions them, in parallel, with input that satisfies their schema', async () => {
    const message = await ask('get_weather, then get_time', { tools });
    const [weather, time] = callsOf(message);
    expect(message.stop_reason).toBe('tool_use');
    expect(Weather.parse(weather?.input)).toBeTruthy();
    expect(time).toMatchObject({ name: 'get_time', input: {} });
    expect(weather?.id).toMatch(/^toolu_/);
    expect(weather?.id).not.toBe(time?.id);
  });

  it('obey tool_choice', async () => {
    const called = async (tool_choice: Anthropic.ToolChoice, content = 'get_weather, then get_time') =>
      callsOf(await ask(content, { tools, tool_choice })).map(({ name }) => name);
    expect(await called({ type: 'auto' }, 'Hello')).toEqual([]);
    expect(await called({ type: 'any' }, 'Hello')).toEqual(['get_weather']);
    expect(await called({ type: 'none' })).toEqual([]);
    expect(await called({ type: 'tool', name: 'get_time' }, 'Hello')).toEqual(['get_time']);
    expect(await called({ type: 'auto', disable_parallel_tool_use: true })).toEqual(['get_weather']);
  });

  it('have their results quoted', async () => {
    const asked = await ask('get_weather, then get_time', { tools });
    const results = callsOf(asked).map(({ id, name }): Anthropic.ToolResultBlockParam => {
      const content: Anthropic.ToolResultBlockParam['content'] =
        name === 'get_time' ? 'noon' : [{ type: 'text', text: 'sunny, 21 degrees' }];
      return { type: 'tool_result', tool_use_id: id, content };
    });
    const messages: Anthropic.MessageParam[] = [
      { role: 'user', content: 'get_weather, then get_time' },
      { role: 'assistant', content: asked.content },
      { role: 'user', content: results },
    ];
    const answer = await ask('', { tools, messages });
    expect(answer.stop_reason).toBe('end_turn');
    expect(textOf(answer)).toContain('"sunny, 21 degrees", "noon"');
  });

  it('must have a result for each call, at the start of the next message, and none without a call', async () => {
    const call = { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'get_time', input: {} }] };
    const result = { type: 'tool_result', tool_use_id: 'toolu_1', content: 'noon' };
    const user = { role: 'user', content: 'get_time' };
    const wrong: [object[], string][] = [
      [[user, call, user], 'toolu_1'],
      [[user, call, { role: 'user', content: [{ type: 'text', text: 'x' }, result] }], 'toolu_1'],
      [[user, { role: 'user', content: [result] }], 'messages.1.content.0'],
    ];
    for (const [messages, says] of wrong) {
      const { error } = await (await postMessages(sandbox.current, { messages })).json();
      expect(error).toEqual({ type: 'invalid_request_error', message: expect.stringContaining(says) });
    }
    const right = [user, call, { role: 'user', content: [result, { type: 'text', text: 'and?' }] }];
    expect((await postMessages(sandbox.current, { messages: right })).status).toBe(200);
  });
});

describe('thinking', () => {
  const model = 'sandbox-reasoning';

  it('comes first, signed, when it is enabled, and counts as output', async () => {
    const message = await ask('Hello', { model, thinking: { type: 'enabled', budget_tokens: 2048 } });
    const [thinking, text] = message.content;
    if (thinking?.type !== 'thinking' || text?.type !== 'text') throw new Error('expected thinking, then text');
    expect(thinking.signature).toMatch(/^[\w+/]+=*$/);
    const thought = countTokens(thinking.thinking);
    expect(message.usage).toMatchObject({
      output_tokens: thought + countTokens(text.text),
      output_tokens_details: { thinking_tokens: thought },
    });
  });

  it('is as long as the effort or the budget says, and absent unless asked for', async () => {
    const length = async (extra: Params) => {
      const [first] = (await ask('Hello', { model, ...extra })).content;
      return first?.type === 'thinking' ? countTokens(first.thinking) : 0;
    };
    expect(await length({})).toBe(0);
    expect(await length({ thinking: { type: 'disabled' } })).toBe(0);
    const efforts = ['low', 'medium', 'high', 'max'] as const;
    const byEffort = [];
    for (const effort of efforts)
      byEffort.push(await length({ thinking: { type: 'adaptive' }, output_config: { effort } }));
    expect(byEffort).toEqual([16, 32, 64, 128]);
    const budget = (budget_tokens: number): Params => ({
      max_tokens: 20_000,
      thinking: { type: 'enabled', budget_tokens },
    });
    expect(await length(budget(1024))).toBeLessThan(await length(budget(16_000)));
  });

  it('keeps its text to itself when it is omitted', async () => {
    const message = await ask('Hello', { model, thinking: { type: 'adaptive', display: 'omitted' } });
    expect(message.content[0]).toEqual({ type: 'thinking', thinking: '', signature: expect.stringMatching(/^.+$/) });
  });

  it('comes before calls too, and its signature must come back as it was given', async () => {
    const asked = await ask('get_time', { model, tools, thinking: { type: 'adaptive' } });
    expect(asked.content.map(({ type }) => type)).toEqual(['thinking', 'tool_use']);
    const next = (change: (signature: string) => string) => {
      const content = asked.content.map((block) =>
        block.type === 'thinking' ? { ...block, signature: change(block.signature) } : block,
      );
      const result = { type: 'tool_result', tool_use_id: callsOf(asked)[0]?.id, content: 'noon' };
      const messages = [
        { role: 'user', content: 'get_time' },
        { role: 'assistant', content },
        { role: 'user', content: [result] },
      ];
      return postMessages(sandbox.current, { model, tools, messages });
    };
    expect((await next((signature) => signature)).status).toBe(200);
    const changed = await next((signature) => signature.toLowerCase());
    expect(changed.status).toBe(400);
    expect((await changed.json()).error.message).toContain('messages.1.content.0');
  });
});

describe('a wrong request', () => {
  const base64 = { type: 'base64', media_type: 'image/png', data: 'not base64' };
  const wrong: [string, object, string][] = [
    ['no max_tokens', { max_tokens: undefined }, 'max_tokens'],
    ['max_tokens of zero', { max_tokens: 0 }, 'max_tokens'],
    ['a temperature over 1', { temperature: 1.1 }, 'temperature'],
    ['no messages', { messages: [] }, 'messages'],
    ['the role system', { messages: [{ role: 'system', content: 'x' }] }, 'messages.0.role'],
    ['an empty message', { messages: [{ role: 'user', content: '' }] }, 'messages.0.content'],
    [
      'an image that is not Base64',
      { messages: [{ role: 'user', content: [{ type: 'image', source: base64 }] }] },
      'messages.0',
    ],
    ['a blank stop sequence', { stop_sequences: [' \n'] }, 'stop_sequences.0'],
    ['a tool without a schema', { tools: [{ name: 'a' }] }, 'tools.0.input_schema'],
    ['a tool_choice without tools', { tool_choice: { type: 'any' } }, 'tool_choice'],
    ['a tool_choice of no tool', { tools, tool_choice: { type: 'tool', name: 'x' } }, 'tool_choice.name'],
    ['a small budget', { thinking: { type: 'enabled', budget_tokens: 1023 } }, 'thinking.budget_tokens'],
    ['a budget over max_tokens', { thinking: { type: 'enabled', budget_tokens: 4096 } }, 'max_tokens'],
    [
      'thinking and a temperature',
      { temperature: 0, thinking: { type: 'enabled', budget_tokens: 2048 } },
      'temperature',
    ],
    [
      'thinking and a forced tool',
      { tools, tool_choice: { type: 'any' }, thinking: { type: 'enabled', budget_tokens: 2048 } },
      'tool_choice',
    ],
    ['an unknown control', { sandbox: { latency: 1 } }, 'sandbox'],
    ['nesting without end', { extra: JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) }, 'nested'],
  ];

  it.each(wrong)('with %s is refused in the words of Anthropic', async (_, members, says) => {
    const response = await postMessages(sandbox.current, members);
    expect(response.status).toBe(400);
    const body = await response.json();
    expect(body).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: expect.stringContaining(says) },
      request_id: response.headers.get('request-id'),
    });
  });

  it('without anthropic-version is refused, also after the same one with it was answered', async () => {
    await postMessages(sandbox.current);
    for (const version of ['', 'yesterday']) {
      const response = await postMessages(sandbox.current, {}, { headers: { 'anthropic-version': version } });
      expect(response.status).toBe(400);
      expect((await response.json()).error.message).toContain('anthropic-version');
    }
    const bare = await fetch(`${sandbox.current.urls.ANTHROPIC}/messages`, { method: 'POST', body: '{}' });
    expect((await bare.json()).error.message).toBe('anthropic-version: header is required');
  });

  it('is thrown by the SDK as what it is', async () => {
    const client = anthropicSdk(sandbox.current);
    await expect(client.messages.create(paramsOf('hi', { model: 'claude-9' }))).rejects.toThrow(
      Anthropic.NotFoundError,
    );
    await expect(client.messages.create(paramsOf('hi', { model: 'sandbox-embedding' }))).rejects.toThrow('embeddings');
    await expect(client.messages.create(paramsOf('hi', { max_tokens: 0 }))).rejects.toThrow(Anthropic.BadRequestError);
  });
});

it('never gets a 5xx, whatever the members hold', async () => {
  const names = [
    'system',
    'messages',
    'tools',
    'tool_choice',
    'thinking',
    'output_config',
    'stop_sequences',
    'sandbox',
  ];
  const block = fc.record({
    type: fc.constantFrom('text', 'image', 'tool_use', 'tool_result', 'thinking'),
    text: fc.string(),
  });
  const message = fc.record({
    role: fc.constantFrom('user', 'assistant', 'system'),
    content: fc.oneof(fc.array(block), fc.jsonValue()),
  });
  const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.array(message), fc.array(block));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 4 }), async (members) => {
      const response = await postMessages(sandbox.current, members);
      await response.arrayBuffer();
      expect(response.status).toBeLessThan(500);
    }),
    { numRuns: 300 },
  );
});

it('lists its chat models a page at a time, with their limits, and describes one', async () => {
  const client = anthropicSdk(sandbox.current);
  const all: Anthropic.ModelInfo[] = [];
  for await (const model of client.models.list({ limit: 7 })) all.push(model);
  const first = await client.models.list({ limit: 1000 });
  expect(all).toEqual(first.data);
  expect(first.has_more).toBe(false);
  expect(all[0]).toMatchObject({
    type: 'model',
    id: 'sandbox-small',
    display_name: 'Sandbox small',
    max_input_tokens: 128_000,
  });
  expect(all.map(({ id }) => id)).not.toContain('sandbox-embedding');
  const before = await client.models.list({ before_id: all[5]?.id ?? '', limit: 2 });
  expect(before.data).toEqual(all.slice(3, 5));
  expect((await client.models.retrieve('sandbox-large')).max_tokens).toBe(65_536);
  await expect(client.models.retrieve('claude-9')).rejects.toThrow(Anthropic.NotFoundError);
  await expect(client.models.list({ limit: 0 })).rejects.toThrow('limit');
});
