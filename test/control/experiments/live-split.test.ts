import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { connectProviders, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { changeRoute, setTrafficSplit } from '../routes/kit.ts';

let server: TestServer;
let peer: TestServer;
let a: Upstream;
let b: Upstream;
/** How upstream `b` answers. */
let isDown = false;

beforeAll(async () => {
  // One of them fails for a while, and its share is counted all the same.
  server = await startServer({ circuitProbeMs: 0 });
  a = await startUpstream(json(whole('from a')));
  b = await startUpstream((response, received) => json(whole('from b'), isDown ? 500 : 200)(response, received));
  await connectProviders(server, { a, b });
  peer = await startPeer(server);
});
afterAll(async () => {
  await peer.close();
  await server.close();
  await Promise.all([a.close(), b.close()]);
});
beforeEach(() => {
  isDown = false;
  a.received.length = 0;
  b.received.length = 0;
});

async function complete(model = 'default', to = server): Promise<string> {
  const response = await fetch(`${to.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${to.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  expect(response.status, await response.text()).toBe(200);
  return response.headers.get('x-signalbox-provider') ?? '';
}

/** So many completions, ten at a time. Who answered each. */
async function completeMany(times: number, model = 'default', to = server): Promise<string[]> {
  const answered: string[] = [];
  const client = async () => {
    while (answered.length + running < times) {
      running += 1;
      const provider = await complete(model, to);
      running -= 1;
      answered.push(provider);
    }
  };
  let running = 0;
  await Promise.all(Array.from({ length: 10 }, client));
  return answered;
}

const received = () => [a.received.length, b.received.length];
const splitDefault = (first: number) =>
  setTrafficSplit(server, {
    routeId: 'default',
    targets: [
      { provider: 'a', percentage: first },
      { provider: 'b', percentage: 100 - first },
    ],
  });
const activate = (id: string) =>
  server.query('mutation($id: ID!) { activateProvider(id: $id) { __typename } }', { id });

describe('a 70/30 split of `default`', () => {
  test('sends exactly 700 and 300 of 1,000 completions, and nothing but the active one after activateProvider', async () => {
    await splitDefault(70);
    await completeMany(1_000);
    expect(received()).toEqual([700, 300]);
    await activate('b');
    await completeMany(50);
    expect(received()).toEqual([700, 350]);
  }, 60_000);

  test('is on the request log by provider', async () => {
    await splitDefault(70);
    await completeMany(100);
    await server.services.ledger.drained();
    const { data } = await server.query<{ requests: { nodes: { provider: string; route: string }[] } }, object>(
      '{ requests(first: 100) { nodes { provider route } } }',
    );
    const answered = data.requests.nodes.map(({ provider, route }) => `${route}: ${provider}`);
    expect(answered.filter((one) => one === 'default: a')).toHaveLength(70);
    expect(answered.filter((one) => one === 'default: b')).toHaveLength(30);
  });

  test('a target that fails is stood in for, and the picks stay exact', async () => {
    await splitDefault(70);
    isDown = true;
    const answered = await completeMany(100);
    expect(new Set(answered)).toEqual(new Set(['a']));
    // Its 30 picks went to b first.
    expect(received()).toEqual([100, 30]);
  });

  test('changes under traffic: from the answer of the mutation on it is the new one', async () => {
    await splitDefault(70);
    const before = completeMany(200);
    await splitDefault(10);
    await before;
    a.received.length = 0;
    b.received.length = 0;
    await completeMany(100);
    expect(received()).toEqual([10, 90]);
  });

  test('0% gets nothing, not even when the other one fails', async () => {
    await splitDefault(0);
    isDown = true;
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'Hi' }] }),
    });
    expect(response.status, await response.text()).toBe(502);
    expect(received()).toEqual([0, 4]);
  });
});

// A busy machine can miss the limit by itself.
test('two servers over one database serve the same split within a second, each exactly by itself', {
  retry: 3,
}, async () => {
  await activate('a');
  const started = performance.now();
  const { route } = await splitDefault(30);
  await until(() => peer.services.snapshots.current.routes.get('default')?.version === route.version, 'the new split');
  const took = performance.now() - started;
  console.info(`a split was served by another server after ${Math.round(took)} ms`);
  expect(took).toBeLessThan(1_000);
  await completeMany(100, 'default', peer);
  expect(received()).toEqual([30, 70]);
  await completeMany(100, 'default', server);
  expect(received()).toEqual([60, 140]);
  await activate('b');
  await until(() => peer.services.snapshots.current.routes.get('default')?.targets.length === 0, 'no split');
  expect(await complete('default', peer)).toBe('b');
});

test('ROUND_ROBIN alternates, and a hint of a SPECIFIC route picks', async () => {
  await changeRoute(server, 'createRoute', {
    ...{ name: 'Turns', slug: 'turns', mode: 'SPECIFIC', strategy: 'ROUND_ROBIN' },
    targets: [{ provider: 'a' }, { provider: 'b' }],
  });
  const answered: string[] = [];
  for (let turn = 0; turn < 6; turn++) answered.push(await complete('turns'));
  expect(answered).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
  for (let turn = 0; turn < 3; turn++) expect(await complete('turns/b')).toBe('b');
  expect(await complete('turns')).toBe('a');
  isDown = true;
  expect(await complete('turns')).toBe('a');
  expect(received()).toEqual([5, 7]);
});

test('/v1/models lists routes and aliases that are active', async () => {
  await changeRoute(server, 'createRoute', { name: 'Listed', slug: 'listed', aliases: ['also-listed'] });
  const names = async () => {
    const response = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${server.apiKey}` } });
    const { data } = (await response.json()) as { data: { id: string }[] };
    return data.map(({ id }) => id);
  };
  expect(await names()).toEqual(expect.arrayContaining(['default', 'listed', 'also-listed', 'a/m']));
  await changeRoute(server, 'updateRoute', { id: 'listed', isActive: false });
  expect(await names()).not.toContain('also-listed');
});
