import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { json, startUpstream, type Upstream } from '../../kit/upstream.ts';

let server: TestServer;
let upstream: Upstream;
let answer: unknown;
let status = 200;
beforeAll(async () => {
  server = await startServer();
  upstream = await startUpstream((response, received) => json(answer, status)(response, received));
  await server.query('mutation ($input: CreateProviderInput!) { createProvider(input: $input) { __typename } }', {
    input: {
      name: 'Mine',
      baseUrl: upstream.url,
      apiKey: 'sk-key-of-mine-123456',
      models: [{ name: 'made', displayName: 'Made by me', contextTokens: 5 }],
    },
  });
});
afterAll(async () => {
  await server?.close();
  await upstream?.close();
});

interface Outcome {
  __typename: string;
  listed: number;
  added: number;
  updated: number;
  missing: number;
  message: string;
}

async function discover(provider: string): Promise<Outcome> {
  const { data, errors } = await server.query<{ discoverModels: Outcome }, object>(
    `mutation ($provider: ID!) { discoverModels(provider: $provider) { __typename
       ... on DiscoverModelsSuccess { listed added updated missing } ... on Error { message } } }`,
    { provider },
  );
  expect(errors).toEqual([]);
  return data.discoverModels;
}

interface Model {
  name: string;
  displayName: string;
  contextTokens: number | null;
  isEnabled: boolean;
  discoveredAt: string | null;
  missingSince: string | null;
}

async function models(provider: string): Promise<Map<string, Model>> {
  const { data } = await server.query<{ provider: { models: { nodes: Model[] } } }, object>(
    `query ($id: ID!) { provider(id: $id) { models(first: 100) { nodes {
       name displayName contextTokens isEnabled discoveredAt missingSince } } } }`,
    { id: provider },
  );
  return new Map(data.provider.models.nodes.map((model) => [model.name, model]));
}

describe('a provider’s own list', () => {
  test('adds what is new, and leaves alone what an admin made', async () => {
    answer = {
      data: [
        { id: 'made', context_length: 99 },
        { id: 'new', context_length: 10 },
        { id: 'new', context_length: 10 },
        { id: 'other' },
      ],
    };
    expect(await discover('mine')).toMatchObject({ listed: 3, added: 2, updated: 0, missing: 0 });
    const found = await models('mine');
    expect(found.get('made')).toMatchObject({ displayName: 'Made by me', contextTokens: 5, discoveredAt: null });
    expect(found.get('new')).toMatchObject({ contextTokens: 10, isEnabled: true, discoveredAt: expect.any(String) });
    // The key went along, as with every call.
    expect(upstream.received.at(-1)?.headers.authorization).toBe('Bearer sk-key-of-mine-123456');
  });

  test('changes nothing the second time', async () => {
    expect(await discover('mine')).toMatchObject({ listed: 3, added: 0, updated: 0, missing: 0 });
  });

  test('brings limits up to date, and marks what is gone until it is back', async () => {
    answer = { data: [{ id: 'new', context_length: 20 }] };
    expect(await discover('mine')).toMatchObject({ listed: 1, added: 0, updated: 1, missing: 1 });
    const gone = await models('mine');
    expect(gone.get('new')?.contextTokens).toBe(20);
    expect(gone.get('other')?.missingSince).toEqual(expect.any(String));
    expect(gone.get('made')?.missingSince).toBeNull();
    answer = { data: [{ id: 'new' }, { id: 'other' }] };
    expect(await discover('mine')).toMatchObject({ added: 0, updated: 1, missing: 0 });
    expect((await models('mine')).get('other')?.missingSince).toBeNull();
  });

  test('is read in each dialect, page by page', async () => {
    for (const provider of ['sandbox', 'sandbox-anthropic', 'sandbox-gemini']) {
      const { listed, added } = await discover(provider);
      expect(listed).toBeGreaterThan(10);
      expect((await models(provider)).size).toBeGreaterThanOrEqual(listed);
      expect(added).toBeLessThan(listed);
    }
  });
});

test('who fails to send one is told so, in a sentence', async () => {
  status = 401;
  answer = { error: { message: 'Incorrect API key provided: sk-key-of-mine-123456' } };
  const refused = await discover('mine');
  expect(refused).toMatchObject({
    __typename: 'UpstreamError',
    message: expect.stringContaining('rejected the stored key'),
  });
  expect(JSON.stringify(refused)).not.toContain('sk-key');
  status = 200;
  answer = { nothing: true };
  expect(await discover('mine')).toMatchObject({
    __typename: 'UpstreamError',
    message: 'mine sent no list of models.',
  });
  expect(await discover('nobody')).toMatchObject({ __typename: 'ProviderNotFoundError' });
});

test('ten a minute are the limit', async () => {
  const outcomes = [];
  for (let tries = 0; tries < 4; tries++) outcomes.push((await discover('sandbox')).__typename);
  expect(outcomes).toContain('RateLimitedError');
});
