import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSandbox } from '../../src/gateway/upstream/sandbox/sandbox.ts';
import { until } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';

let server: TestServer;
let client: OpenAI;
let sandbox: Awaited<ReturnType<typeof startSandbox>>;

beforeAll(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: server.apiKey, maxRetries: 0 });
  sandbox = await startSandbox({ port: 0 });
  await server.query('mutation ($input: CreateProviderInput!) { createProvider(input: $input) { __typename } }', {
    input: {
      name: 'Watched',
      baseUrl: sandbox.url,
      isEnabled: true,
      models: [{ name: 'sandbox-small', inputPrice: '1', outputPrice: '1' }],
    },
  });
});

afterAll(async () => {
  await server?.close();
  await sandbox?.close();
});

const MESSAGES = [{ role: 'user' as const, content: 'Hello, Signalbox!' }];
const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather in a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

describe('the official OpenAI SDK, with its base URL changed', () => {
  test('gets an answer', async () => {
    const answer = await client.chat.completions.create({ model: 'default', messages: MESSAGES });
    expect(answer.choices[0]?.message.content).toContain('Hello, Signalbox!');
    expect(answer.usage?.total_tokens).toBeGreaterThan(10);
  });

  test('streams the same answer, with its usage when asked', async () => {
    const whole = await client.chat.completions.create({ model: 'sandbox-large', messages: MESSAGES });
    const stream = await client.chat.completions.create({
      model: 'sandbox-large',
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage: OpenAI.CompletionUsage | null = null;
    let finishReason: string | null = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      finishReason = chunk.choices[0]?.finish_reason ?? finishReason;
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(finishReason).toBe('stop');
    expect(usage).toEqual(whole.usage);
  });

  test('calls a tool, streamed and not, and uses its result', async () => {
    const request = {
      model: 'default',
      messages: [{ role: 'user' as const, content: 'Use get_weather for Bern.' }],
      tools: [WEATHER],
      tool_choice: 'required' as const,
    };
    const answer = await client.chat.completions.create(request);
    const call = answer.choices[0]?.message.tool_calls?.[0];
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
    if (call?.type !== 'function') throw new Error('no function was called');
    expect(call.function.name).toBe('get_weather');
    expect(JSON.parse(call.function.arguments)).toEqual({ city: expect.any(String) });

    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'get_weather' } });

    const after = await client.chat.completions.create({
      model: 'default',
      messages: [
        ...request.messages,
        answer.choices[0]?.message ?? { role: 'assistant' },
        { role: 'tool', tool_call_id: call.id, content: '21 degrees' },
      ],
      tools: [WEATHER],
    });
    expect(after.choices[0]?.message.content).toContain('21 degrees');
  });

  test('gets JSON that follows a schema', async () => {
    const answer = await client.chat.completions.create({
      model: 'default',
      messages: MESSAGES,
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'train',
          strict: true,
          schema: {
            type: 'object',
            properties: { number: { type: 'integer' }, isLate: { type: 'boolean' } },
            required: ['number', 'isLate'],
            additionalProperties: false,
          },
        },
      },
    });
    expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({
      number: expect.any(Number),
      isLate: expect.any(Boolean),
    });
  });

  // A busy machine can miss the limit by itself.
  test('aborts: the upstream call ends within 100 ms', { retry: 3 }, async () => {
    const stream = await client.chat.completions.create({
      model: 'watched/sandbox-small',
      messages: MESSAGES,
      stream: true,
      ...({ sandbox: { outputTokens: 5_000, tokensPerSecond: 100 } } as object),
    });
    const before = sandbox.stats().aborted;
    let seen = 0;
    let leftAt = 0;
    for await (const _chunk of stream) {
      if (++seen === 5) {
        leftAt = Date.now();
        stream.controller.abort();
      }
    }
    await until(() => sandbox.stats().aborted === before + 1, 'the sandbox saw the abort');
    expect(Date.now() - leftAt).toBeLessThan(100);
    await until(() => server.services.gateway.running === 0, 'nothing runs any more');
  });

  test('sees typed errors', async () => {
    await expect(
      client.chat.completions.create({ model: 'nothing-like-it', messages: MESSAGES }),
    ).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'sbx_unknown', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'unauthenticated' });
    await expect(
      client.chat.completions.create({ model: 'sandbox/sandbox-fault-context-length', messages: MESSAGES }),
    ).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });

  test('lists the models, the route first', async () => {
    const models = await client.models.list();
    expect(models.data[0]).toMatchObject({ id: 'default', owned_by: 'signalbox' });
    expect((await client.models.retrieve('sandbox/sandbox-small')).owned_by).toBe('sandbox');
  });
});

describe('a graphql-ws client', () => {
  test('streams a completion to its end', async () => {
    const events: Record<string, unknown>[] = [];
    const subscription = server.ws({ apiKey: server.apiKey }).iterate<{ completion: Record<string, unknown> }>({
      query: `subscription { completion(input: { messages: [{ role: USER, content: "Hello!" }] }) {
        __typename ... on CompletionDelta { text } ... on CompletionFinished { completion { text cost } } } }`,
    });
    for await (const { data } of subscription) if (data) events.push(data.completion);
    const names = events.map((event) => event.__typename);
    expect(names[0]).toBe('CompletionStarted');
    expect(names.at(-1)).toBe('CompletionFinished');
    const text = events.map((event) => event.text ?? '').join('');
    expect(text).toContain('Hello!');
    expect(events.at(-1)?.completion).toMatchObject({ text, cost: expect.stringMatching(/^0\.0/) });
  });

  test('unsubscribes in the middle: the upstream call ends within 100 ms', { retry: 3 }, async () => {
    const before = sandbox.stats().aborted;
    const subscription = server.ws().iterate({
      query: `subscription { completion(input: { model: "watched/sandbox-small",
        messages: [{ role: USER, content: "Hello!" }], extra: { sandbox: { outputTokens: 5000, tokensPerSecond: 100 } } }) { __typename } }`,
    });
    for (let i = 0; i < 4; i++) await subscription.next();
    const leftAt = Date.now();
    await subscription.return?.();
    await until(() => sandbox.stats().aborted === before + 1, 'the sandbox saw the abort');
    expect(Date.now() - leftAt).toBeLessThan(100);
    await until(() => server.services.gateway.running === 0, 'nothing runs any more');
  });
});
