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

const INTERVAL_MS = 1_000;
const NAMES = ['chat', 'picky', 'left', 'long', 'quiet', 'half', 'busy', 'spare'] as const;
type Name = (typeof NAMES)[number];

let server: TestServer;
const upstreams = {} as Record<Name, Upstream>;
const answers: Partial<Record<Name, Answer>> = {};

beforeAll(async () => {
  server = await startServer({ logLevel: 'error', circuitProbeMs: INTERVAL_MS });
  for (const name of NAMES)
    upstreams[name] = await startUpstream((response, received) =>
      (answers[name] ?? json(whole(`from ${name}`)))(response, received),
    );
  await connectProviders(server, upstreams);
});
afterAll(async () => {
  await server?.close();
  for (const upstream of Object.values(upstreams)) await upstream.close();
});
beforeEach(() => {
  for (const { received } of Object.values(upstreams)) received.length = 0;
});

interface Asked {
  path?: string;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

function post(
  model: string,
  body: object = {},
  { path = 'chat/completions', signal, headers }: Asked = {},
): Promise<Response> {
  return fetch(`${server.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}`, ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...body }),
    ...(signal ? { signal } : {}),
  });
}

async function createRoute(name: string, targets: readonly Name[], more: object = {}): Promise<void> {
  const input = { name, slug: name, targets: targets.map((provider, priority) => ({ provider, priority })), ...more };
  const { data } = await server.query<{ createRoute: object }, object>(
    'mutation ($input: CreateRouteInput!) { createRoute(input: $input) { __typename ... on Error { message } } }',
    { input },
  );
  expect(data.createRoute).not.toHaveProperty('message');
}

/** Lets a target fail until it is left alone. */
async function bringDown(name: Name): Promise<void> {
  answers[name] = json({ error: { message: 'down' } }, 503);
  for (let call = 0; call < 5; call++) await post(`${name}/m`);
  const { status, headers } = await post(`${name}/m`);
  expect([status, headers.get('retry-after')]).toEqual([503, '1']);
}

test('what cannot embed may chat', async () => {
  answers.chat = (response, received) =>
    (received.body.includes('"input"') ? json({ error: { message: 'not for embeddings' } }, 501) : json(whole('Hi')))(
      response,
      received,
    );
  for (let call = 0; call < 6; call++) await post('chat/m', { input: 'x' }, { path: 'embeddings' });
  expect((await post('chat/m', { input: 'x' }, { path: 'embeddings' })).status).toBe(503);
  expect((await post('chat/m')).status).toBe(200);
});

test('a request that a target cannot digest is one failure of it, however often it is tried', async () => {
  answers.picky = (response, received) =>
    (received.body.includes('poison') ? json({}, 500) : json(whole('Hi')))(response, received);
  for (let call = 0; call < 4; call++) await post('picky/m', { messages: [{ role: 'user', content: 'poison' }] });
  expect(upstreams.picky.received).toHaveLength(16);
  expect((await post('picky/m')).status).toBe(200);
}, 30_000);

test('clients that leave bring a silent target no more than one call in an interval', async () => {
  await bringDown('left');
  answers.left = () => undefined;
  await sleep(INTERVAL_MS + 50);
  upstreams.left.received.length = 0;
  for (const end = Date.now() + 2 * INTERVAL_MS; Date.now() < end; )
    await post('left/m', { stream: true }, { signal: AbortSignal.timeout(50) }).catch(() => undefined);
  expect(upstreams.left.received.length).toBeLessThanOrEqual(3);
}, 30_000);

test('a target is back with the first token of a long stream, not with its end', async () => {
  await bringDown('long');
  answers.long = async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let index = 0; index < 40 && !response.destroyed; index++) {
      response.write(`data: ${JSON.stringify(chunk('word '))}\n\n`);
      await sleep(100);
    }
    response.end(`data: ${JSON.stringify(chunk('', 'stop'))}\n\ndata: [DONE]\n\n`);
  };
  await sleep(INTERVAL_MS);
  const probe = await post('long/m', { stream: true });
  expect(probe.status).toBe(200);
  const statuses = await Promise.all(
    Array.from({ length: 10 }, async () => (await post('long/m', { stream: true })).status),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
  await probe.body?.cancel();
}, 30_000);

test('a silent target is found out, though the total timeout leaves no time to ask another', async () => {
  answers.quiet = () => undefined;
  await createRoute('hurried', ['quiet', 'spare'], { totalTimeoutMs: 300 });
  const statuses: number[] = [];
  for (let call = 0; call < 7; call++) statuses.push((await post('hurried')).status);
  expect(statuses).toEqual([504, 504, 504, 504, 504, 200, 200]);
}, 30_000);

test('after an answer broke off, a stand-in that is limited is passed over, and the reason stays what it was', async () => {
  answers.half = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(chunk('half '))}\n\n`);
    setTimeout(() => response.destroy(), 50);
  };
  answers.busy = json({ error: { message: 'too many' } }, 429, { 'retry-after': '60' });
  answers.spare = events(chunk('whole'), chunk('', 'stop'), '[DONE]');
  await createRoute('restarting', ['half', 'busy', 'spare'], { restartPolicy: 'OTHER_TARGET' });
  const response = await post('restarting', { stream: true }, { headers: { 'x-signalbox-restart': 'allow' } });
  const text = await response.text();
  const [before, after] = text.split('"restarted"');
  expect(before).toContain('half ');
  expect(after).toMatch(/^:\{"attempt":3,"provider":"spare","reason":"half closed the connection/);
  expect(after).toContain('whole');
  expect(text.trimEnd()).toMatch(/data: \[DONE\]$/);
  expect([upstreams.half, upstreams.busy, upstreams.spare].map(({ received }) => received.length)).toEqual([1, 1, 1]);
});
