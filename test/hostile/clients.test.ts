import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Sandbox, startSandbox } from '../../src/gateway/upstream/sandbox/sandbox.ts';
import { eventually } from '../kit/eventually.ts';
import type { TestServer } from '../kit/server.ts';
import { type Flood, startFlood } from './flood.ts';
import { expectServing, openSocket, startTarget, watchFaults } from './kit.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let server: TestServer;
let upstream: Sandbox;
const watch = watchFaults();
beforeAll(async () => {
  server = await startTarget();
  upstream = await startSandbox({ port: 0 });
  await connectProvider('upstream', upstream.url, 'sandbox-small');
});
afterAll(async () => {
  await server.close();
  await upstream.close();
  watch.stop();
});

async function connectProvider(slug: string, baseUrl: string, model: string): Promise<void> {
  const { data, errors } = await server.query<{ createProvider: { __typename: string } }, object>(
    'mutation($input: CreateProviderInput!) { createProvider(input: $input) { __typename } }',
    { input: { name: slug, slug, baseUrl, models: [{ name: model }] } },
  );
  expect([errors, data.createProvider.__typename]).toEqual([[], 'CreateProviderSuccess']);
}

/** An answer that goes on for minutes. */
const SLOW = { outputTokens: 200_000, tokensPerSecond: 200 };
const SUBSCRIPTION = `subscription($input: CompletionInput!) { completion(input: $input) {
  __typename ... on CompletionStarted { requestId } ... on CompletionDelta { text } } }`;

const chatBody = (sandbox: object, model = 'upstream/sandbox-small') =>
  JSON.stringify({
    model,
    stream: true,
    messages: [{ role: 'user', content: 'Hi' }],
    sandbox,
  });
const operation = (sandbox: object, model = 'upstream/sandbox-small') => ({
  query: SUBSCRIPTION,
  variables: {
    input: { model, messages: [{ role: 'USER', content: 'Hi' }], extra: { sandbox } },
  },
});

function httpRequest(path: string, body: string, accept: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\naccept: ${accept}\r\nauthorization: Bearer ${server.apiKey}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const openAI = (sandbox: object, model?: string) =>
  httpRequest('/v1/chat/completions', chatBody(sandbox, model), 'text/event-stream');
const overSse = (sandbox: object, model?: string) =>
  httpRequest('/graphql', JSON.stringify(operation(sandbox, model)), 'text/event-stream');

/** Sends a request, and resolves with its socket after the first bytes of the answer's body. */
async function begin(request: string): Promise<Socket> {
  const socket = await openSocket(server.url);
  socket.on('error', () => undefined);
  let seen = '';
  await new Promise<void>((resolve, reject) => {
    socket.once('close', () => reject(new Error(`closed after ${seen}`)));
    socket.on('data', function read(chunk: Buffer) {
      seen += chunk.toString('latin1');
      if (!/\r\n\r\n[\s\S]*(chat\.completion\.chunk|CompletionDelta)/.test(seen)) return;
      socket.off('data', read);
      socket.pause();
      resolve();
    });
    socket.write(request);
  });
  return socket;
}

/** Opens a socket with one running completion, and resolves after its first delta. */
async function beginOverWebSocket(sandbox: object, model?: string): Promise<WebSocket> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('close', () => reject(new Error('closed')));
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.apiKey}` } })),
    );
    socket.on('message', (data) => {
      const text = String(data);
      if (text.includes('connection_ack'))
        socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: operation(sandbox, model) }));
      if (text.includes('CompletionDelta')) resolve();
    });
  });
  return socket;
}

/**
 * Begins and leaves until the upstream's call was gone within 100 ms, three times at most: a busy machine may be late once,
 * but a stop that waits for anything is late every time.
 * @returns how often it was begun
 */
async function stopsAtOnce<T>(start: () => Promise<T>, leave: (client: T) => void): Promise<number> {
  const took: number[] = [];
  for (let tries = 1; tries <= 3; tries++) {
    leave(await start());
    took.push(await upstreamIsFree());
    if ((took.at(-1) ?? 0) < 100) return tries;
    await nothingRuns();
  }
  return expect.fail(`stopped only after ${took} ms`);
}

/** Milliseconds until the upstream has no request any more. */
async function upstreamIsFree(): Promise<number> {
  const start = performance.now();
  while (upstream.stats().active > 0) {
    if (performance.now() - start > 5_000) throw new Error('the upstream still answers');
    await delay(2);
  }
  return performance.now() - start;
}

async function nothingRuns(): Promise<void> {
  await upstreamIsFree();
  await eventually(() => expect(server.services.gateway.running).toBe(0));
}

async function cancelledRows(): Promise<number> {
  const { data } = await server.query<{ requests: { totalCount: number } }, object>(
    '{ requests(filter: { status: CANCELLED, provider: "upstream" }) { totalCount } }',
  );
  return data.requests.totalCount;
}

/** What `act` starts, and returns the number of, leaves as many CANCELLED rows behind, and made as many upstream calls. */
async function expectCancelled(act: () => Promise<number>): Promise<void> {
  const [rows, calls] = [await cancelledRows(), upstream.stats().requests];
  const count = await act();
  await nothingRuns();
  expect(upstream.stats().requests - calls).toBe(count);
  await eventually(async () => expect((await cancelledRows()) - rows).toBe(count), 10_000);
}

describe('a client that leaves', () => {
  const requests: [string, (sandbox: object) => string][] = [
    ['/v1', openAI],
    ['GraphQL over SSE', overSse],
  ];
  const started = (count: number, write: (socket: Socket) => void) => async () => {
    const socket = await openSocket(server.url);
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    write(socket);
    await eventually(() => expect(upstream.stats().active).toBe(count));
    return socket;
  };

  it.each(requests)('with FIN stops the upstream of %s within 100 ms', (_door, request) =>
    expectCancelled(() =>
      stopsAtOnce(
        () => begin(request(SLOW)),
        (socket) => socket.end(),
      ),
    ),
  );

  it.each(requests)('with RST stops the upstream of %s within 100 ms', (_door, request) =>
    expectCancelled(() =>
      stopsAtOnce(
        () => begin(request(SLOW)),
        (socket) => socket.resetAndDestroy(),
      ),
    ),
  );

  it.each(requests)('before there is an answer stops the upstream of %s, too', (_door, request) =>
    expectCancelled(() =>
      stopsAtOnce(
        started(1, (socket) => socket.write(request({ latencyMs: 600_000 }))),
        (socket) => socket.destroy(),
      ),
    ),
  );

  it('takes with it what it had pipelined', () =>
    expectCancelled(async () => {
      const pipelined = openAI(SLOW) + openAI(SLOW) + overSse(SLOW);
      const tries = await stopsAtOnce(
        started(3, (socket) => socket.write(pipelined)),
        (socket) => socket.resetAndDestroy(),
      );
      return 3 * tries;
    }));

  it.each<[string, (socket: WebSocket) => void]>([
    ['closes its WebSocket', (socket) => socket.close()],
    ['cuts its WebSocket', (socket) => socket.terminate()],
    ['unsubscribes', (socket) => socket.send('{"id":"1","type":"complete"}')],
    ['sends garbage', (socket) => socket.send('{')],
  ])('that %s stops the upstream within 100 ms', (_way, leave) =>
    expectCancelled(() => stopsAtOnce(() => beginOverWebSocket(SLOW), leave)),
  );
});

describe('a client that stops reading', () => {
  const destroyer = (socket: Socket) => () => socket.destroy();
  const doors: [string, () => Promise<() => void>][] = [
    ['/v1', async () => destroyer(await begin(openAI({}, 'flood/m')))],
    ['GraphQL over SSE', async () => destroyer(await begin(overSse({}, 'flood/m')))],
    [
      'a WebSocket',
      async () => {
        const socket = await beginOverWebSocket({}, 'flood/m');
        socket.pause();
        return () => socket.terminate();
      },
    ],
  ];
  let flood: Flood;
  beforeAll(async () => {
    flood = await startFlood();
    await connectProvider('flood', flood.url, 'm');
  });
  afterAll(() => flood.close());

  it.each(doors)('on %s stops the upstream and costs a bounded amount of memory', async (_door, start) => {
    collectGarbage();
    const before = process.memoryUsage();
    const sentBefore = flood.sentBytes();
    const leave = await Promise.all(Array.from({ length: 5 }, start));
    try {
      // What kernels and queues hold is full before long; then the provider sends nothing more.
      const sent = await settled(flood.sentBytes);
      expect(flood.open()).toBe(5);
      // The kernel's buffers on both of its connections, and the queues between them.
      expect((sent - sentBefore) / 5).toBeLessThan(40 * 1024 * 1024);
      // What is held stays; what was just let go is gone with one of the next collections.
      await eventually(() => {
        collectGarbage();
        const after = process.memoryUsage();
        const grown = after.heapUsed + after.external - before.heapUsed - before.external;
        expect(grown / 5).toBeLessThan(6 * 1024 * 1024);
      });
    } finally {
      for (const end of leave) end();
      await eventually(() => expect(flood.open()).toBe(0));
      await eventually(() => expect(server.services.gateway.running).toBe(0));
    }
  });

  /** What `count` gives once it stays the same for half a second. */
  async function settled(count: () => number): Promise<number> {
    for (let last = -1; ; await delay(500)) {
      const now = count();
      if (now === last) return now;
      last = now;
    }
  }
});

it('a slow reader gets the answer to its end', async () => {
  const socket = await openSocket(server.url);
  socket.write(openAI({ outputTokens: 20_000 }));
  let length = 0;
  let tail = '';
  for await (const chunk of socket) {
    length += chunk.length;
    tail = (tail + chunk.toString('latin1')).slice(-200);
    if (tail.includes('data: [DONE]')) break;
    await delay(1);
  }
  expect(length).toBeGreaterThan(1_000_000);
  socket.destroy();
  await nothingRuns();
});

describe('a thousand subscriptions, opened and dropped', () => {
  /** Ten sockets with ten completions each: dropped one by one, closed, or cut. */
  async function hundred(round: number): Promise<void> {
    const sockets = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
        socket.on('error', () => undefined);
        await new Promise((resolve) => socket.once('open', resolve));
        const acknowledged = new Promise((resolve) => socket.once('message', resolve));
        socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.apiKey}` } }));
        await acknowledged;
        for (let id = 0; id < 10; id++)
          socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload: operation(SLOW) }));
        return socket;
      }),
    );
    await eventually(() => expect(upstream.stats().active).toBe(100), 10_000);
    for (const [at, socket] of sockets.entries()) {
      const way = (at + round) % 3;
      if (way === 0) for (let id = 0; id < 10; id++) socket.send(JSON.stringify({ id: String(id), type: 'complete' }));
      if (way === 1) socket.close();
      if (way === 2) socket.terminate();
    }
    await nothingRuns();
    for (const socket of sockets) socket.terminate();
  }

  it('leave rows that are CANCELLED, and no growth in memory, timers or connections', async () => {
    // What is made once, such as pools and compiled code, is made in the first rounds.
    await hundred(0);
    await hundred(1);
    const before = await atRest();
    await expectCancelled(async () => {
      for (let round = 0; round < 10; round++) await hundred(round);
      return 1_000;
    });
    const after = await atRest();
    expect(after.timers - before.timers).toBeLessThanOrEqual(3);
    expect(after.sockets - before.sockets).toBeLessThanOrEqual(10);
    // 1,000 leaks of 10 KB would be 10 MB.
    expect(after.heap - before.heap).toBeLessThan(6 * 1024 * 1024);
  }, 120_000);

  /** Counts once the closing of sockets is through. */
  async function atRest(): Promise<{ timers: number; sockets: number; heap: number }> {
    await delay(1_000);
    collectGarbage();
    const resources = process.getActiveResourcesInfo();
    const count = (name: string) => resources.filter((resource) => resource === name).length;
    return {
      timers: count('Timeout'),
      sockets: count('TCPSocketWrap') + count('TCPServerWrap'),
      heap: process.memoryUsage().heapUsed,
    };
  }
});

it('200 sockets that say nothing, or half a request, hold nobody up', async () => {
  const halves = [
    '',
    'GET /ping HT',
    'POST /graphql HTTP/1.1\r\nhost: a\r\nx: ',
    httpRequest('/v1/chat/completions', chatBody({}), '*/*').slice(0, -5),
  ];
  const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(server.url)));
  for (const [at, socket] of sockets.entries()) {
    socket.on('error', () => undefined);
    socket.write(halves[at % halves.length] ?? '');
  }
  await expectServing(server);
  const ping = await fetch(`${server.url}/ping`);
  expect(ping.status).toBe(200);
  for (const [at, socket] of sockets.entries()) {
    if (at % 2) socket.resetAndDestroy();
    else socket.end();
  }
  await expectServing(server);
  for (const socket of sockets) socket.destroy();
});

it('after all of this the server serves, and nothing was left running or uncaught', async () => {
  await expectServing(server);
  await nothingRuns();
  expect(watch.faults).toEqual([]);
});
