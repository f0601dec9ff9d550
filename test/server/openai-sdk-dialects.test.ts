import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';

/** The three sandboxes that every server has from its first start, each behind a route. */
const PROVIDERS = { OpenAI: 'sandbox', Anthropic: 'sandbox-anthropic', Gemini: 'sandbox-gemini' };

let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: server.apiKey, maxRetries: 0 });
  for (const provider of Object.values(PROVIDERS)) {
    const input = {
      name: `Via ${provider}`,
      slug: `via-${provider}`,
      mode: 'SPECIFIC',
      targets: [{ provider, models: ['sandbox-small', 'sandbox-reasoning'] }],
    };
    const { data } = await server.query<{ createRoute: { __typename: string } }, object>(
      'mutation ($input: CreateRouteInput!) { createRoute(input: $input) { __typename ... on Error { message } } }',
      { input },
    );
    expect(data.createRoute).toEqual({ __typename: 'CreateRouteSuccess' });
  }
});
afterAll(() => server?.close());

type Params = OpenAI.ChatCompletionCreateParamsNonStreaming;

const user = (content: OpenAI.ChatCompletionUserMessageParam['content']) => ({ role: 'user' as const, content });
const tool = (name: string) => ({
  type: 'function' as const,
  function: {
    name,
    description: `Calls ${name}.`,
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
});
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** What both ways of asking must bring: the answer whole, and put together from its stream. */
async function ask(params: Params): Promise<OpenAI.ChatCompletion[]> {
  const whole = await client.chat.completions.create(params);
  const streamed = await client.chat.completions
    .stream({ ...params, stream: true, stream_options: { include_usage: true } })
    .finalChatCompletion();
  return [whole, streamed];
}

/** Reasoning is no field that the SDK knows; it collects what a stream brings of it all the same. */
async function streamReasoning(params: Params): Promise<{ reasoning: string; text: string }> {
  const stream = await client.chat.completions.create({ ...params, stream: true });
  let [reasoning, text] = ['', ''];
  for await (const { choices } of stream) {
    const delta = choices[0]?.delta as { content?: string | null; reasoning_content?: string | null } | undefined;
    reasoning += delta?.reasoning_content ?? '';
    text += delta?.content ?? '';
  }
  return { reasoning, text };
}

describe.each(Object.entries(PROVIDERS))(
  'the OpenAI SDK through a route to the sandbox that speaks %s',
  (_name, slug) => {
    const model = `via-${slug}`;

    test('gets and streams text, with usage and the reason why it ended', async () => {
      for (const answer of await ask({ model, messages: [user('Hello, Signalbox!')] })) {
        expect(answer.choices[0]?.message.content).toContain('Hello, Signalbox!');
        expect(answer.choices[0]?.finish_reason).toBe('stop');
        expect(answer.usage?.prompt_tokens).toBeGreaterThan(3);
        expect(answer.usage?.total_tokens).toBe(
          (answer.usage?.prompt_tokens ?? 0) + (answer.usage?.completion_tokens ?? 0),
        );
      }
    });

    test('is cut at the limit that it asks for, and told so', async () => {
      for (const answer of await ask({ model, messages: [user('Hello!')], max_completion_tokens: 5 })) {
        expect(answer.choices[0]?.finish_reason).toBe('length');
        expect(answer.usage?.completion_tokens).toBe(5);
      }
    });

    test('calls a tool, and uses its result', async () => {
      const params: Params = {
        model,
        messages: [{ role: 'system', content: 'Be brief.' }, user('Use get_weather for Bern.')],
        tools: [tool('get_weather')],
        tool_choice: 'required',
      };
      for (const answer of await ask(params)) {
        const message = answer.choices[0]?.message;
        const [call] = message?.tool_calls ?? [];
        if (call?.type !== 'function' || !message) throw new Error('no function was called');
        expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
        expect(call).toMatchObject({ id: expect.stringMatching(/.{6}/), function: { name: 'get_weather' } });
        expect(JSON.parse(call.function.arguments)).toEqual({ city: expect.any(String) });
        const after = await client.chat.completions.create({
          model,
          messages: [...params.messages, message, { role: 'tool', tool_call_id: call.id, content: '21 degrees' }],
          tools: [tool('get_weather')],
        });
        expect(after.choices[0]?.message.content).toContain('21 degrees');
      }
    });

    test('calls two tools at once, and gives the results of both', async () => {
      const params: Params = {
        model,
        messages: [user('Use get_weather and get_time for Bern.')],
        tools: [tool('get_weather'), tool('get_time'), tool('get_news')],
      };
      for (const answer of await ask(params)) {
        const message = answer.choices[0]?.message;
        const calls = (message?.tool_calls ?? []).flatMap((call) => (call.type === 'function' ? [call] : []));
        expect(calls.map((call) => call.function.name)).toEqual(['get_weather', 'get_time']);
        expect(new Set(calls.map((call) => call.id)).size).toBe(2);
        const results = calls.map((call, at) => ({
          role: 'tool' as const,
          tool_call_id: call.id,
          content: at === 0 ? 'sunny' : 'noon',
        }));
        const after = await client.chat.completions.create({
          model,
          messages: [...params.messages, message ?? { role: 'assistant' }, ...results],
          tools: params.tools ?? [],
        });
        expect(after.choices[0]?.message.content).toContain('sunny');
        expect(after.choices[0]?.message.content).toContain('noon');
      }
    });

    test('shows an image', async () => {
      const parts = [
        { type: 'text' as const, text: 'What is this?' },
        { type: 'image_url' as const, image_url: { url: PIXEL } },
      ];
      const [without] = await ask({ model, messages: [user('What is this?')] });
      for (const answer of await ask({ model, messages: [user(parts)] })) {
        expect(answer.choices[0]?.message.content).toContain('What is this?');
        // The sandbox counts an image as 85 tokens: it arrived.
        expect((answer.usage?.prompt_tokens ?? 0) - (without?.usage?.prompt_tokens ?? 0)).toBe(85);
      }
    });

    test('gets JSON that follows a schema', async () => {
      const schema = {
        type: 'object',
        properties: { number: { type: 'integer' }, isLate: { type: 'boolean' } },
        required: ['number', 'isLate'],
        additionalProperties: false,
      };
      const response_format = { type: 'json_schema' as const, json_schema: { name: 'train', strict: true, schema } };
      for (const answer of await ask({ model, messages: [user('A train.')], response_format })) {
        expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({
          number: expect.any(Number),
          isLate: expect.any(Boolean),
        });
      }
    });

    test('is shown how the model reasons, and what that used', async () => {
      const params: Params = {
        model: `${model}/sandbox-reasoning`,
        messages: [user('Think about it.')],
        reasoning_effort: 'high',
      };
      const { reasoning, text } = await streamReasoning(params);
      expect(reasoning).toContain('The sandbox pretends to think.');
      expect(text).toContain('Think about it.');
      const [whole, streamed] = await ask(params);
      expect(whole?.choices[0]?.message).toMatchObject({ reasoning_content: reasoning, content: text });
      expect(streamed?.usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(20);
    });

    test('is told when the content was refused', async () => {
      const params: Params = { model: `${slug}/sandbox-fault-content-filter`, messages: [user('Hello!')] };
      for (const answer of await ask(params).catch((error) => [error])) {
        expect(answer.choices?.[0]?.finish_reason ?? answer.code).toMatch(/content_filter/);
      }
    });

    test('rehearses an outage: controls of the sandbox arrive in any dialect', async () => {
      const broken = { model, messages: [user('Hello!')], sandbox: { status: 503 } } as Params;
      await expect(client.chat.completions.create(broken)).rejects.toMatchObject({ status: 503, code: 'upstream' });
      const cut = { model, messages: [user('Hello!')], sandbox: { fault: 'cut' }, stream: true } as never;
      const stream = (await client.chat.completions.create(cut)) as unknown as AsyncIterable<unknown>;
      await expect(
        (async () => {
          for await (const _ of stream);
        })(),
      ).rejects.toThrow(/closed the connection|without a finish reason/);
    });

    test('is on the ledger with what it used and cost', async () => {
      const { response } = await client.chat.completions.create({ model, messages: [user('Hello!')] }).withResponse();
      expect(response.headers.get('x-signalbox-provider')).toBe(slug);
      expect(response.headers.get('x-signalbox-cost')).toMatch(/^0\.0/);
    });
  },
);

test('what a first provider failed at and a second cannot be asked is on the ledger as failed, once', async () => {
  await server.query('mutation ($input: CreateRouteInput!) { createRoute(input: $input) { __typename } }', {
    input: {
      name: 'Then nothing',
      targets: [
        { provider: 'sandbox', models: ['sandbox-fault-status'], priority: 1 },
        { provider: 'sandbox-gemini', models: ['sandbox-small'], priority: 2 },
      ],
    },
  });
  const image = { type: 'image_url' as const, image_url: { url: 'http://127.0.0.1/private.png' } };
  const asked = client.chat.completions.create({ model: 'then-nothing', messages: [user([image])] });
  const error = await asked.then(
    () => expect.fail('it was answered'),
    (thrown) => thrown as InstanceType<typeof OpenAI.APIError>,
  );
  // What the first one failed at may pass; that the second cannot be asked is not why there is no answer.
  expect(error).toMatchObject({ status: 502, code: 'upstream' });
  await eventually(async () => {
    const { data } = await server.query<
      { request: { status: string; attempts: { provider: string }[] } | null },
      object
    >('query ($id: ID!) { request(id: $id) { status attempts { provider status } } }', {
      id: error.headers?.get('x-signalbox-request-id'),
    });
    const tried = { provider: 'sandbox', status: 'FAILED' };
    expect(data.request).toEqual({ status: 'FAILED', attempts: [tried, tried, tried, tried] });
  });
});
