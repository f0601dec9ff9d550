import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';

let server: TestServer;
let client: OpenAI;
beforeAll(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: server.apiKey, maxRetries: 0 });
});
afterAll(() => server?.close());

const length = (vector: readonly number[]) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

describe.each(['sandbox/sandbox-embedding', 'sandbox-gemini/sandbox-embedding'])('embeddings of %s', (model) => {
  test('are unit vectors, the same for the same text, in the order of the texts', async () => {
    const { data, usage } = await client.embeddings.create({ model, input: ['Hello', 'there', 'Hello'] });
    expect(data.map(({ index }) => index)).toEqual([0, 1, 2]);
    const [hello, there, again] = data.map(({ embedding }) => embedding);
    expect(hello).toEqual(again);
    expect(hello).not.toEqual(there);
    expect(length(hello ?? [])).toBeCloseTo(1, 5);
    expect(usage.prompt_tokens).toBeGreaterThan(2);
  });

  test('have as many numbers as are asked for, as numbers and as base64', async () => {
    const floats = await client.embeddings.create({ model, input: 'Hello', dimensions: 8, encoding_format: 'float' });
    const packed = await client.embeddings.create({ model, input: 'Hello', dimensions: 8 });
    expect(floats.data[0]?.embedding).toHaveLength(8);
    for (const [at, value] of (floats.data[0]?.embedding ?? []).entries())
      expect(packed.data[0]?.embedding[at]).toBeCloseTo(value, 6);
  });

  test('are on the ledger with their cost, like a completion', async () => {
    const { response } = await client.embeddings.create({ model, input: 'Hello there' }).withResponse();
    const id = response.headers.get('x-signalbox-request-id');
    expect(response.headers.get('x-signalbox-cost')).toMatch(/^0\.0/);
    await eventually(async () => {
      const { data } = await server.query<{ request: object }, object>(
        `query ($id: ID!) { request(id: $id) { operation status model isStreamed cost usage { inputTokens outputTokens isEstimated } } }`,
        { id },
      );
      expect(data.request).toEqual({
        operation: 'EMBEDDINGS',
        status: 'SUCCEEDED',
        model: 'sandbox-embedding',
        isStreamed: false,
        cost: response.headers.get('x-signalbox-cost'),
        usage: {
          inputTokens: Number(response.headers.get('x-signalbox-input-tokens')),
          outputTokens: 0,
          isEstimated: expect.any(Boolean),
        },
      });
    });
  });
});

test('both dialects give the same vector for the same text', async () => {
  const [openai, gemini] = await Promise.all(
    ['sandbox', 'sandbox-gemini'].map((provider) =>
      client.embeddings.create({ model: `${provider}/sandbox-embedding`, input: 'Hello', encoding_format: 'float' }),
    ),
  );
  expect(gemini?.data[0]?.embedding).toEqual(openai?.data[0]?.embedding);
});

test('go through a route, and on to its next target where the first has none', async () => {
  await server.query('mutation ($input: CreateRouteInput!) { createRoute(input: $input) { __typename } }', {
    input: {
      name: 'Vectors',
      targets: [
        { provider: 'sandbox-anthropic', models: ['sandbox-small'], priority: 1 },
        { provider: 'sandbox', models: ['sandbox-embedding'], priority: 2 },
      ],
    },
  });
  const { data, response } = await client.embeddings.create({ model: 'vectors', input: 'Hello' }).withResponse();
  expect(data.data).toHaveLength(1);
  expect(response.headers.get('x-signalbox-provider')).toBe('sandbox');
});

test.each<[string, object, number, string]>([
  ['without a model', { input: 'a' }, 400, 'validation'],
  ['without an input', { model: 'sandbox/sandbox-embedding' }, 400, 'validation'],
  ['of an unknown model', { model: 'nothing-like-it', input: 'a' }, 404, 'model_not_found'],
  ['of a provider that has none', { model: 'sandbox-anthropic/sandbox-small', input: 'a' }, 400, 'validation'],
  ['of tokens that Gemini does not know', { model: 'sandbox-gemini/sandbox-embedding', input: [1] }, 400, 'validation'],
])('a request %s is refused with a clear error', async (_what, body, status, code) => {
  await expect(client.embeddings.create(body as never)).rejects.toMatchObject({ status, code });
});
