import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';

let server: TestServer;
let upstream: Upstream;
let answer: Answer;
const list = json({ data: [{ id: 'm' }] });

beforeAll(async () => {
  server = await startServer({ providerProbeIntervalSeconds: 1, providerTestTimeoutMs: 500 });
  upstream = await startUpstream((response, received) => answer(response, received));
  answer = list;
  await server.query('mutation ($input: CreateProviderInput!) { createProvider(input: $input) { __typename } }', {
    input: { name: 'Probed', baseUrl: upstream.url, apiKey: 'sk-probed-1234567890', models: [{ name: 'm' }] },
  });
});
afterAll(async () => {
  await server?.close();
  await upstream?.close();
});
afterEach(() => {
  answer = list;
});

interface Health {
  status: string;
  latencyMs: number | null;
  upstreamStatus: number | null;
  detail: string | null;
}

async function health(): Promise<Health | null> {
  const { data } = await server.query<{ provider: { health: Health | null } }, object>(
    '{ provider(id: "probed") { health { status latencyMs upstreamStatus detail } } }',
  );
  return data.provider.health;
}

const becomes = (wanted: Partial<Health>) =>
  eventually(async () => expect(await health()).toMatchObject(wanted), 15_000);

describe('a provider without traffic is probed', () => {
  test('by its list of models, which spends no tokens, with its key', async () => {
    await becomes({ status: 'ONLINE', upstreamStatus: 200, detail: null });
    expect(upstream.received.every(({ body }) => body === '')).toBe(true);
    expect(upstream.received.at(-1)?.headers.authorization).toBe('Bearer sk-probed-1234567890');
    const { data } = await server.query<{ requests: { totalCount: number } }, object>('{ requests { totalCount } }');
    expect(data.requests.totalCount).toBe(0);
  });

  test('and is OFFLINE while it fails, with the reason, and ONLINE again after', async () => {
    answer = json({ error: { message: 'down' } }, 503);
    await becomes({ status: 'OFFLINE', upstreamStatus: 503, detail: 'probed failed (HTTP 503): down' });
    answer = json({ error: { message: 'bad key sk-probed-1234567890' } }, 401);
    await becomes({
      upstreamStatus: 401,
      detail: expect.stringContaining('rejected the stored key') as unknown as string,
    });
    answer = () => undefined;
    await becomes({ status: 'OFFLINE', upstreamStatus: null, detail: 'probed did not finish within 0.5 s.' });
    answer = json({ error: { message: 'slow down' } }, 429);
    await becomes({ status: 'DEGRADED', upstreamStatus: 429 });
    answer = list;
    await becomes({ status: 'ONLINE' });
  }, 60_000);

  test('but not while traffic shows how it does', async () => {
    answer = (response, received) => (received.body === '' ? list : json(whole('Hi')))(response, received);
    await eventually(async () => {
      const before = upstream.received.filter(({ body }) => body === '').length;
      for (let calls = 0; calls < 8; calls++) {
        const response = await fetch(`${server.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'probed/m', messages: [{ role: 'user', content: 'Hi' }] }),
        });
        expect(response.status).toBe(200);
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      expect(upstream.received.filter(({ body }) => body === '').length - before).toBe(0);
    }, 20_000);
  }, 30_000);
});

test('one without a list is left alone, and nothing is concluded from that', async () => {
  answer = json({ error: { message: 'no such page' } }, 404);
  await becomes({ status: 'ONLINE' });
  // Its one answer is remembered until the configuration changes.
  await eventually(async () => {
    const before = upstream.received.length;
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(upstream.received.length).toBe(before);
  }, 20_000);
  expect((await health())?.status).toBe('ONLINE');
}, 30_000);

test('OpenRouter is asked about the key, because its list is for everybody', async () => {
  answer = (response, received) =>
    (received.headers.authorization === 'Bearer sk-or-good-1234567890' ? json({ data: {} }) : json({}, 401))(
      response,
      received,
    );
  await server.query('mutation ($input: CreateProviderInput!) { createProvider(input: $input) { __typename } }', {
    input: {
      name: 'Router',
      kind: 'OPENROUTER',
      baseUrl: upstream.url,
      apiKey: 'sk-or-bad-1234567890',
      models: [{ name: 'm' }],
    },
  });
  const status = async () => {
    const { data } = await server.query<{ provider: { health: Health | null } }, object>(
      '{ provider(id: "router") { health { status } } }',
    );
    return data.provider.health?.status;
  };
  await eventually(async () => expect(await status()).toBe('OFFLINE'), 15_000);
  await server.query(
    'mutation { setProviderKey(input: { provider: "router", key: "sk-or-good-1234567890" }) { __typename } }',
  );
  await eventually(async () => expect(await status()).toBe('ONLINE'), 15_000);
}, 40_000);

test('of two servers over one database, one probes in an interval', async () => {
  const peer = await startPeer(server, { providerProbeIntervalSeconds: 1 });
  try {
    // A change of the configuration has the list asked for again.
    answer = list;
    await server.query('mutation { updateProvider(input: { id: "probed", priority: 7 }) { __typename } }');
    const ofOne = () => upstream.received.filter(({ headers }) => headers.authorization?.includes('sk-probed')).length;
    const before = ofOne();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const probes = ofOne() - before;
    expect(probes).toBeGreaterThan(0);
    // At most one in each 0.8 s, however many servers there are.
    expect(probes).toBeLessThanOrEqual(7);
  } finally {
    await peer.close();
  }
}, 30_000);
