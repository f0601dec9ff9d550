import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { costOf, priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { until } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, chunk, events, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';

let server: TestServer;
let upstream: Upstream;
let answer: Answer;

beforeAll(async () => {
  server = await startServer({ logLevel: 'error' });
  upstream = await startUpstream((response, received) => answer(response, received));
  for (const kind of ['OPENROUTER', 'OPENAI', 'CUSTOM']) {
    const input = {
      name: kind,
      slug: `my-${kind.toLowerCase()}`,
      kind,
      baseUrl: upstream.url,
      apiKey: 'key-1234567890',
    };
    const models = [{ name: 'm', inputPrice: '1', outputPrice: '2' }, { name: 'gpt-4.1' }];
    await change('createProvider', 'CreateProviderInput', { ...input, isEnabled: true, models });
  }
});

afterAll(async () => {
  await server?.close();
  await upstream?.close();
});

async function change(name: string, type: string, input: object): Promise<void> {
  const mutation = `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`;
  const { data, errors } = await server.query<Record<string, { __typename: string }>, object>(mutation, { input });
  if (!data?.[name]?.__typename.endsWith('Success')) throw new Error(JSON.stringify({ data, errors }));
}

const setPrices = (id: string, prices: object) => change('updateModel', 'UpdateModelInput', { id, ...prices });

async function modelOf(id: string) {
  const fields = `priceSource inputPrice outputPrice cacheWrite1hPrice reasoningPrice
    priceTiers { aboveTokens inputPrice outputPrice cacheReadPrice }`;
  const query = `query ($id: ID!) { model(id: $id) { ${fields} } }`;
  return (await server.query<{ model: Record<string, unknown> }, object>(query, { id })).data.model;
}

interface Attempt {
  cost: string | null;
  costSource: string | null;
  answeredModel: string | null;
}

/** Completes once; how the completion tells its attempt, and how the request log tells it afterwards. */
async function complete(model: string, isStreamed = false): Promise<Attempt> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], stream: isStreamed }),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const id = response.headers.get('x-request-id');
  const query = 'query ($id: ID!) { request(id: $id) { cost attempts { cost costSource answeredModel } } }';
  const logged = await until(async () => {
    const found = await server.query<{ request: { cost: string; attempts: Attempt[] } | null }, object>(query, { id });
    return found.data.request;
  });
  const [attempt] = logged.attempts;
  expect(logged.cost).toBe(attempt?.cost);
  return attempt as Attempt;
}

/** The last attempt's row, with what its price version is. */
async function lastRow() {
  const { rows } = await server.services.pool.query(
    `SELECT a.*, p.components FROM attempts a LEFT JOIN price_versions p ON p.id = a.price_version_id
     ORDER BY a.started_at DESC LIMIT 1`,
  );
  return rows[0];
}

describe('an override', () => {
  it('is used by the next completion, before the price list; once it is taken away the list is back', async () => {
    answer = json(whole('Hi', { model: 'gpt-4.1-2025-04-14' }));
    // 10 in, 5 out. By the list $2 and $8: 20·10⁶ + 40·10⁶.
    expect(await complete('my-openai/gpt-4.1')).toMatchObject({ cost: '0.00006', costSource: 'PRICED' });
    await setPrices('my-openai/gpt-4.1', { inputPrice: '100', outputPrice: '200' });
    expect(await modelOf('my-openai/gpt-4.1')).toMatchObject({ priceSource: 'OVERRIDE', inputPrice: '100' });
    // 10 × 100·10⁶ + 5 × 200·10⁶
    expect(await complete('my-openai/gpt-4.1')).toMatchObject({ cost: '0.002', costSource: 'PRICED' });
    await setPrices('my-openai/gpt-4.1', { inputPrice: null, outputPrice: null });
    expect(await modelOf('my-openai/gpt-4.1')).toMatchObject({ priceSource: null, inputPrice: null });
    expect(await complete('my-openai/gpt-4.1')).toMatchObject({ cost: '0.00006', costSource: 'PRICED' });
  });

  it('goes before what the provider reports', async () => {
    answer = json(whole('Hi', { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, cost: 0.5 } }));
    expect(await complete('my-openrouter/m')).toMatchObject({ cost: '0.00002', costSource: 'PRICED' });
  });

  it('has tiers, and prices for an hour of cache and for reasoning', async () => {
    const prices = {
      ...{ inputPrice: '1', outputPrice: '2', cacheWritePrice: '1.25', cacheWrite1hPrice: '2', reasoningPrice: '3' },
      priceTiers: [{ aboveTokens: 9, inputPrice: '10', outputPrice: '20', cacheReadPrice: '5' }],
    };
    await setPrices('my-custom/m', prices);
    expect(await modelOf('my-custom/m')).toEqual({
      ...{ priceSource: 'OVERRIDE', inputPrice: '1', outputPrice: '2', cacheWrite1hPrice: '2', reasoningPrice: '3' },
      priceTiers: [{ aboveTokens: 9, inputPrice: '10', outputPrice: '20', cacheReadPrice: '5' }],
    });
    const details = { prompt_tokens_details: { cached_tokens: 4 }, completion_tokens_details: { reasoning_tokens: 5 } };
    answer = json(whole('Hi', { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, ...details } }));
    // 6 × 10·10⁶ + 4 × 5·10⁶ + 5 × 20·10⁶: the tier has no price of reasoning.
    expect(await complete('my-custom/m')).toMatchObject({ cost: '0.00018' });
  });

  it('of a model of the catalog gives way to the catalog’s price again', async () => {
    const seeded = await modelOf('google/gemini-2.5-pro');
    expect(seeded).toMatchObject({
      ...{ priceSource: 'CATALOG', inputPrice: '1.25', outputPrice: '10' },
      priceTiers: [{ aboveTokens: 200_000, inputPrice: '2.5', outputPrice: '15', cacheReadPrice: '0.25' }],
    });
    await setPrices('google/gemini-2.5-pro', { inputPrice: '3', outputPrice: '4' });
    expect(await modelOf('google/gemini-2.5-pro')).toMatchObject({ priceSource: 'OVERRIDE', priceTiers: [] });
    await setPrices('google/gemini-2.5-pro', { displayName: 'Pro' });
    expect(await modelOf('google/gemini-2.5-pro')).toMatchObject({ priceSource: 'OVERRIDE', inputPrice: '3' });
    await setPrices('google/gemini-2.5-pro', { inputPrice: null });
    expect(await modelOf('google/gemini-2.5-pro')).toEqual(seeded);
  });

  it.each([
    ['tiers alone', { priceTiers: [{ aboveTokens: 1, inputPrice: '1', outputPrice: '1' }] }],
    ['a price of reasoning alone', { reasoningPrice: '1' }],
    ['two tiers from the same length on', { ...pair, priceTiers: [tier(1), tier(1)] }],
    ['a tier from nothing on', { ...pair, priceTiers: [tier(0)] }],
    ['eleven tiers', { ...pair, priceTiers: Array.from({ length: 11 }, (_, index) => tier(index + 1)) }],
    ['a price too fine', { ...pair, priceTiers: [{ ...tier(1), cacheWrite1hPrice: '0.0000001' }] }],
  ])('is refused with %s', async (_what, prices) => {
    await expect(setPrices('my-custom/gpt-4.1', prices)).rejects.toThrow('ValidationError');
    expect(await modelOf('my-custom/gpt-4.1')).toMatchObject({ priceSource: null });
  });
});

const pair = { inputPrice: '1', outputPrice: '1' };
function tier(aboveTokens: number) {
  return { aboveTokens, ...pair };
}

describe('a cost that the provider reports', () => {
  const model = 'openai/gpt-4.1-2025-04-14';
  const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, cost: 0.00007159 };

  it.each([false, true])('is on the ledger, to the picodollar (streamed: %s)', async (isStreamed) => {
    answer = isStreamed
      ? events(
          ...[chunk('Hi'), chunk('', 'stop'), chunk('', null, { choices: [], usage })].map((one) => ({
            ...one,
            model,
          })),
          '[DONE]',
        )
      : json(whole('Hi', { model, usage }));
    const attempt = await complete('my-openrouter/openai/gpt-4.1', isStreamed);
    expect(attempt).toMatchObject({ cost: '0.00007159', costSource: 'REPORTED' });
    expect(await lastRow()).toMatchObject({ cost: '71590000', cost_source: 'REPORTED', price_version_id: null });
  });

  it('counts for nothing where nobody knows what it means', async () => {
    answer = json(whole('Hi', { model, usage }));
    expect(await complete('my-custom/unheard-of')).toMatchObject({ cost: null, costSource: null });
  });
});

describe('the model that answers', () => {
  it('decides the price, which the database did not have', async () => {
    const details = { prompt_tokens_details: { cached_tokens: 8 } };
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, ...details };
    answer = json(whole('Hi', { model: 'gpt-4o-mini-2024-07-18', usage }));
    const attempt = await complete('my-openai/gpt-4.1');
    // 2 × 150,000 + 8 × 75,000 + 5 × 600,000 = 3.9·10⁶
    expect(attempt).toMatchObject({ answeredModel: 'gpt-4o-mini-2024-07-18', cost: '0.0000039', costSource: 'PRICED' });
    const row = await lastRow();
    expect(row.components).toEqual({ input: 150_000, output: 600_000, cacheRead: 75_000 });
    const price = priceVersion(row.components);
    expect(price.id).toBe(row.price_version_id);
    const [inputTokens, outputTokens, cachedTokens] = [row.input_tokens, row.output_tokens, row.cached_tokens];
    const rest = { cacheWriteTokens: null, cacheWrite1hTokens: null, reasoningTokens: null };
    expect(`${costOf({ inputTokens, outputTokens, cachedTokens, ...rest }, price)}`).toBe(row.cost);
  });

  it('costs nothing when it fails before its first token', async () => {
    answer = json({ error: { message: 'No.' } }, 500);
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}` },
      body: JSON.stringify({ model: 'my-openai/gpt-4.1', messages: [{ role: 'user', content: 'Hello' }] }),
    });
    expect(response.status).toBeGreaterThanOrEqual(500);
    await until(async () => (await lastRow())?.status === 'FAILED');
    expect(await lastRow()).toMatchObject({ cost: '0', cost_source: 'FREE', input_tokens: null });
  });
});
