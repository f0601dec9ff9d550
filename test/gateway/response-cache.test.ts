import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startServer, type TestServer } from '../kit/server.ts';
import {
  type Answer,
  chunk,
  connectProviders,
  events,
  json,
  startUpstream,
  type Upstream,
  whole,
} from '../kit/upstream.ts';

const SLUGS = ['one', 'two'] as const;
type Slug = (typeof SLUGS)[number];

const CACHE_BYTES = 64_000;

let server: TestServer;
let upstreams: Record<Slug, Upstream>;
let answers: Partial<Record<Slug, Answer>>;

beforeAll(async () => {
  server = await startServer({
    ...{ logLevel: 'error', circuitProbeMs: 0, anonymousCompletions: true, trustProxy: true },
    responseCacheBytes: CACHE_BYTES,
  });
  const open = (slug: Slug) =>
    startUpstream((response, received) => (answers[slug] ?? json(whole(`from ${slug}`)))(response, received));
  upstreams = { one: await open('one'), two: await open('two') };
  await connectProviders(server, upstreams);
});

afterAll(async () => {
  await server?.close();
  for (const upstream of Object.values(upstreams ?? {})) await upstream.close();
});

beforeEach(() => {
  answers = {};
});

/** A mutation that has to succeed. */
async function must(name: string, type: string, input: object): Promise<void> {
  const { data, errors } = await server.query<Record<string, { __typename: string }>, object>(
    `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`,
    { input },
  );
  expect(errors).toEqual([]);
  expect(data[name]).not.toHaveProperty('message');
}

let routes = 0;

/** A route with a response cache, and its name. */
async function createRoute(over: object = {}, targets: readonly object[] = [{ provider: 'one' }]): Promise<string> {
  const slug = `cached-${routes++}`;
  await must('createRoute', 'CreateRouteInput', { name: slug, slug, cacheTtlSeconds: 600, targets, ...over });
  return slug;
}

type Headers = Record<string, string>;

function post(model: string, over: object = {}, headers: Headers = {}, path = 'chat/completions'): Promise<Response> {
  const content = path === 'embeddings' ? { input: 'Hello' } : { messages: [{ role: 'user', content: 'Hello' }] };
  const authorization = `Bearer ${server.apiKey}`;
  return fetch(`${server.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization, ...headers },
    body: JSON.stringify({ model, ...content, ...over }),
  });
}

/** Asks, and tells whether the answer came from the cache. */
async function isCached(model: string, over: object = {}, headers: Headers = {}): Promise<boolean> {
  const response = await post(model, over, headers);
  expect(response.status, await response.text()).toBe(200);
  return response.headers.get('x-signalbox-cached') === 'true';
}

const provider = async (slug: string) =>
  (await server.services.prisma.provider.findUniqueOrThrow({ where: { slug } })).id;

test('an answer serves nobody once its provider has moved, and again when it is back', async () => {
  const route = await createRoute();
  await isCached(route);
  expect(await isCached(route)).toBe(true);
  const id = await provider('one');
  await must('updateProvider', 'UpdateProviderInput', { id, baseUrl: upstreams.two.url });
  expect(await (await post(route)).text()).toContain('from two');
  await must('updateProvider', 'UpdateProviderInput', { id, baseUrl: upstreams.one.url });
  expect(await (await post(route)).text()).toContain('from one');
});

test.each([
  ['its region', { region: 'elsewhere' }],
  ['its dialect', { dialect: 'ANTHROPIC' }],
])('an answer serves nobody once its provider has changed %s', async (_what, change) => {
  const slug = `changing-${routes}`;
  const { url: baseUrl } = upstreams.one;
  const models = [{ name: 'm' }];
  await must('createProvider', 'CreateProviderInput', {
    ...{ name: slug, slug, kind: 'CUSTOM', baseUrl, models, isEnabled: true, apiKey: 'key-of-a-provider-1234' },
  });
  const route = await createRoute({}, [{ provider: slug }]);
  await isCached(route);
  expect(await isCached(route)).toBe(true);
  await must('updateProvider', 'UpdateProviderInput', { id: await provider(slug), ...change });
  expect((await post(route)).headers.get('x-signalbox-cached')).toBeNull();
});

test('an answer serves nobody once its provider, or its caller, has another key', async () => {
  const route = await createRoute();
  await isCached(route);
  expect(await isCached(route)).toBe(true);
  await must('setProviderKey', 'SetProviderKeyInput', { provider: 'one', key: 'another-key-of-one-1234' });
  expect(await isCached(route)).toBe(false);
  await must('setMyProviderKey', 'SetMyProviderKeyInput', { provider: 'one', key: 'the-own-key-of-admin-1' });
  expect(await isCached(route)).toBe(false);
  expect(await isCached(route)).toBe(true);
  await must('setMyProviderKey', 'SetMyProviderKeyInput', { provider: 'one', key: 'the-own-key-of-admin-2' });
  expect(await isCached(route)).toBe(false);
});

test('sessions of a sticky split are served what their own variant answered', async () => {
  const variants = SLUGS.map((slug) => ({ provider: slug, weight: 50 }));
  const route = await createRoute({ strategy: 'WEIGHTED', stickyBy: 'SESSION' }, variants);
  const answerer = async (index: number, over: object = {}) => {
    const response = await post(route, over, { 'x-signalbox-session': `session ${index}` });
    return [response.headers.get('x-signalbox-provider'), await response.text()];
  };
  const sessions = Array.from({ length: 12 }, (_, index) => index);
  const own = await Promise.all(sessions.map((index) => answerer(index, { user: `${index}` })));
  expect(new Set(own.map(([slug]) => slug)).size).toBe(2);
  for (const _time of [1, 2]) for (const index of sessions) expect(await answerer(index)).toEqual(own[index]);
});

test('an answer with several choices is not kept, as one of them may have been cut off', async () => {
  const route = await createRoute();
  const choice = (index: number, reason: string) => ({ index, message: { content: 'x' }, finish_reason: reason });
  answers.one = json({ ...whole(''), choices: [choice(0, 'stop'), choice(1, 'length')] });
  expect(await isCached(route, { n: 2 })).toBe(false);
  expect(await isCached(route, { n: 2 })).toBe(false);
  answers = {};
  await isCached(route, { n: 1 });
  expect(await isCached(route, { n: 1 })).toBe(true);
});

test('callers without a key are known apart by their address', async () => {
  const route = await createRoute();
  const from = (address: string) => ({ authorization: '', 'x-forwarded-for': address });
  expect(await isCached(route, {}, from('203.0.113.1'))).toBe(false);
  expect(await isCached(route, {}, from('203.0.113.2'))).toBe(false);
  expect(await isCached(route, {}, from('203.0.113.1'))).toBe(true);
});

test('what the provider did not get of the request is told with every answer, and recorded', async () => {
  const [slug, baseUrl] = ['anthropic-like', upstreams.one.url];
  await must('createProvider', 'CreateProviderInput', {
    ...{ name: slug, slug, kind: 'ANTHROPIC', baseUrl, isEnabled: true, apiKey: 'key-of-a-provider-1234' },
    models: [{ name: 'm' }],
  });
  answers.one = json({
    ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'm', stop_reason: 'end_turn' },
    ...{ content: [{ type: 'text', text: 'Hi.' }], usage: { input_tokens: 1, output_tokens: 1 } },
  });
  const route = await createRoute({}, [{ provider: slug }]);
  const asked = { seed: 7, frequency_penalty: 1 };
  const first = await post(route, asked);
  const again = await post(route, asked);
  expect(again.headers.get('x-signalbox-cached')).toBe('true');
  expect(again.headers.get('x-signalbox-warnings')).toMatch(/seed/);
  expect(again.headers.get('x-signalbox-warnings')).toBe(first.headers.get('x-signalbox-warnings'));
  await server.services.ledger.drained();
  const rows = await server.services.prisma.completion.findMany({
    where: { id: { in: [first, again].map((answer) => answer.headers.get('x-signalbox-request-id') as string) } },
  });
  expect(rows.map(({ warnings }) => warnings)).toEqual([rows[0]?.warnings, rows[0]?.warnings]);
  expect(rows[0]?.warnings).not.toEqual([]);
});

test('a power level that no model has is told as the one that was asked for', async () => {
  const route = await createRoute({ allowsPowerLevel: true });
  const warning = async (level: string) => {
    const response = await post(route, {}, { 'x-signalbox-power-level': level });
    return response.headers.get('x-signalbox-warnings');
  };
  for (const _time of [1, 2])
    for (const level of ['ECO', 'PRECISION']) expect(await warning(level)).toMatch(`power level ${level}`);
});

test('an answer of the sandbox serves only requests with the same controls', async () => {
  const route = await createRoute({}, [{ provider: 'sandbox' }]);
  const control = (text: string) => ({ 'x-sandbox': text });
  await isCached(route);
  expect(await isCached(route, {}, control('outputTokens=2'))).toBe(false);
  expect(await isCached(route, {}, control('outputTokens=3'))).toBe(false);
  expect(await isCached(route, {}, control('outputTokens=2'))).toBe(true);
});

test('a request that is served from the cache is recorded with its own tags', async () => {
  const route = await createRoute();
  await isCached(route, {}, { 'x-signalbox-tags': 'team=red' });
  const response = await post(route, {}, { 'x-signalbox-tags': 'team=blue' });
  expect(response.headers.get('x-signalbox-cached')).toBe('true');
  await server.services.ledger.drained();
  const id = response.headers.get('x-signalbox-request-id') as string;
  expect(await server.services.prisma.completion.findFirst({ where: { id } })).toMatchObject({
    tags: { team: 'blue' },
  });
});

test('what was under way while the cache was cleared serves nobody afterwards', async () => {
  const route = await createRoute();
  let answer: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => {
    answers.one = async (response, received) => {
      resolve();
      await new Promise<void>((go) => {
        answer = go;
      });
      json(whole('from before'))(response, received);
    };
  });
  const before = post(route);
  await reached;
  await must('clearResponseCache', 'ClearResponseCacheInput', { routeId: route });
  answer();
  expect(await (await before).text()).toContain('from before');
  answers.one = json(whole('from after'));
  for (const _time of [1, 2]) expect(await (await post(route)).text()).toContain('from after');
  expect(await isCached(route)).toBe(true);
});

test('all answers together take no more memory than they may: the least recently used go', async () => {
  const route = await createRoute();
  answers.one = json(whole('x'.repeat(CACHE_BYTES / 9)));
  const ask = (user: string) => isCached(route, { user });
  for (const user of ['a', 'b']) await ask(user);
  expect(await ask('a')).toBe(true);
  await ask('c');
  expect([await ask('a'), await ask('c')]).toEqual([true, true]);
  expect(await ask('b')).toBe(false);
  answers.one = json(whole('x'.repeat(CACHE_BYTES / 2)));
  await ask('large');
  expect(await ask('large')).toBe(false);
  expect(await ask('b')).toBe(true);
});

test('what is being recorded counts as well, until it is over', async () => {
  const route = await createRoute();
  await isCached(route);
  expect(await isCached(route)).toBe(true);
  answers.one = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(chunk('x', null, { padding: 'x'.repeat(CACHE_BYTES / 2 - 500) }))}\n\n`);
  };
  const leaving = new AbortController();
  const streaming = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}` },
    body: JSON.stringify({ model: route, stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
    signal: leaving.signal,
  });
  await streaming.body?.getReader().read();
  answers = {};
  expect(await isCached(route)).toBe(false);
  leaving.abort();
  await expect.poll(() => server.services.gateway.running).toBe(0);
  await isCached(route);
  expect(await isCached(route)).toBe(true);
});

test('a stream that is larger than all the cache is answered whole, and not kept', async () => {
  const route = await createRoute();
  const pieces = Array.from({ length: 40 }, (_, index) => chunk(`${index} ${'x'.repeat(1_000)}`));
  answers.one = events(...pieces, chunk('', 'stop'), '[DONE]');
  const texts: string[] = [];
  for (const _time of [1, 2]) {
    const response = await post(route, { stream: true });
    expect(response.headers.get('x-signalbox-cached')).toBeNull();
    texts.push(await response.text());
  }
  expect(texts[0]).toContain('39 xxx');
  expect(texts[1]).toBe(texts[0]);
});

test('the events of an answer that began anew are counted from 0 when it serves the next one', async () => {
  const route = await createRoute({ restartPolicy: 'OTHER_TARGET' }, [
    { provider: 'one', priority: 0 },
    { provider: 'two', priority: 1 },
  ]);
  answers.one = async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(chunk('half an'))}\n\n`);
    await sleep(100);
    response.destroy();
  };
  answers.two = events(chunk('whole'), chunk('', 'stop'), '[DONE]');
  const input = { model: route, messages: [{ role: 'USER', content: 'Hello' }] };
  const stream = async () => {
    const client = server.ws();
    const received: { __typename: string; seq?: number; text?: string; isCached?: boolean }[] = [];
    const query = `subscription ($input: CompletionInput!) { completion(input: $input) {
      __typename ... on CompletionStarted { isCached } ... on CompletionDelta { seq text } } }`;
    for await (const { data, errors } of client.iterate<{ completion: (typeof received)[number] }>({
      query,
      variables: { input },
    })) {
      expect(errors).toBeUndefined();
      if (data) received.push(data.completion);
    }
    return received;
  };
  expect((await stream()).map(({ __typename }) => __typename)).toContain('CompletionRestarted');
  const again = await stream();
  expect(again[0]).toMatchObject({ __typename: 'CompletionStarted', isCached: true });
  const deltas = again.filter(({ __typename }) => __typename === 'CompletionDelta');
  expect(deltas.map(({ text }) => text).join('')).toBe('whole');
  expect(deltas.at(-1)?.seq).toBe(1);
});
