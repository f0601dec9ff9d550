import { once } from 'node:events';
import type { ExecutionResult } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { builder } from '../../../src/control/schema/builder.ts';
import { Tokens } from '../../../src/gateway/admission/tokens.ts';
import { JWT_SECRET, startServer, type TestServer } from '../../kit/server.ts';

/** Sources that run, and how the last of them was told to stop. */
let running = 0;
let stopped: Promise<number>;
/** Lets `adminNews` give one event. */
let publish: () => void = () => undefined;
/** Events that `flood` has given. */
let flooded = 0;

builder.subscriptionField('silence', (t) =>
  t.int({
    authScopes: { public: true },
    async *subscribe(_root, _args, { signal }) {
      running += 1;
      stopped = new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          running -= 1;
          resolve(performance.now());
        });
      });
      yield 0;
      await new Promise(() => undefined);
    },
    resolve: (number) => number as number,
  }),
);
builder.subscriptionField('adminNews', (t) =>
  t.int({
    authScopes: { admin: true },
    async *subscribe() {
      for (let number = 0; ; number += 1) {
        yield number;
        await new Promise<void>((resolve) => {
          publish = resolve;
        });
      }
    },
    resolve: (number) => number as number,
  }),
);
builder.subscriptionField('flood', (t) =>
  t.string({
    authScopes: { public: true },
    async *subscribe() {
      for (;;) {
        flooded += 1;
        yield 'x'.repeat(64 * 1024);
      }
    },
    resolve: (text) => text as string,
  }),
);

let server: TestServer;
const sockets: WebSocket[] = [];

beforeAll(async () => {
  server = await startServer({
    corsOrigins: ['https://app.example.com'],
    rateLimitPerMinute: 0,
    bodyLimitBytes: 64 * 1024,
  });
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
});
afterAll(() => server.close());

interface Message {
  type: string;
  id?: string;
  payload?: unknown;
}

/** A socket that speaks the protocol word by word. */
class Speaker {
  readonly socket: WebSocket;
  readonly #received: Message[] = [];
  #wake: () => void = () => undefined;
  readonly closed: Promise<number>;

  constructor(socket: WebSocket) {
    this.socket = socket;
    sockets.push(socket);
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('message', (data) => {
      this.#received.push(JSON.parse(String(data)));
      this.#wake();
    });
  }

  send(message: Message): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(id: string, query: string): void {
    this.send({ type: 'subscribe', id, payload: { query } });
  }

  /** The next message there is for the operation. */
  async next(id?: string): Promise<Message> {
    for (;;) {
      const index = this.#received.findIndex((message) => message.id === id);
      if (index >= 0) return this.#received.splice(index, 1)[0] as Message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const address = () => `${server.url.replace('http', 'ws')}/graphql`;

async function open(options: { origin?: string; headers?: Record<string, string> } = {}): Promise<Speaker> {
  const speaker = new Speaker(new WebSocket(address(), 'graphql-transport-ws', options));
  await once(speaker.socket, 'open');
  return speaker;
}

async function connect(parameters: object = {}): Promise<Speaker> {
  const speaker = await open();
  speaker.send({ type: 'connection_init', payload: parameters });
  expect((await speaker.next()).type).toBe('connection_ack');
  return speaker;
}

async function statusOf(url: string, options: object): Promise<number | undefined> {
  const socket = new WebSocket(url, 'graphql-transport-ws', options);
  sockets.push(socket);
  socket.on('error', () => undefined);
  const [, response] = await once(socket, 'unexpected-response');
  return response.statusCode;
}

describe('operations', () => {
  test('a query, a mutation and a subscription go over one socket', async () => {
    const client = server.ws();
    const results: unknown[] = [];
    for (const query of ['{ me { email } }', 'mutation { revokeApiKey(id: "x") { __typename } }']) {
      for await (const result of client.iterate({ query })) results.push(result);
    }
    expect(results).toEqual([
      { data: { me: { email: 'admin@signalbox.local' } } },
      { data: { revokeApiKey: { __typename: 'NotFoundError' } } },
    ]);
  });

  test.each([
    ['a syntax error', '{ me '],
    ['an unknown field', 'subscription { nonsense }'],
    ['no operation', 'fragment F on Query { __typename }'],
    ['too many aliases', `{ ${Array.from({ length: 101 }, (_, index) => `a${index}: __typename`).join(' ')} }`],
    ['too many tokens', `{ ${'__typename '.repeat(2_100)} }`],
  ])('%s is answered for that operation alone, and the others go on', async (_name, query) => {
    const speaker = await connect();
    speaker.subscribe('good', 'subscription { silence }');
    expect(await speaker.next('good')).toMatchObject({ type: 'next' });
    speaker.subscribe('bad', query);
    const { type, payload } = await speaker.next('bad');
    const errors = type === 'error' ? payload : (payload as ExecutionResult).errors;
    expect(errors).toMatchObject([{ extensions: { code: 'VALIDATION', requestId: expect.any(String) } }]);
    expect(JSON.stringify(errors)).not.toContain('"http"');
    speaker.subscribe('after', '{ __typename }');
    expect(await speaker.next('after')).toMatchObject({ type: 'next', payload: { data: { __typename: 'Query' } } });
    expect(running).toBe(1);
  });

  // A busy machine can miss the limits by itself.
  test('unsubscribing stops the source within 100 ms, while it waits for its next event', { retry: 3 }, async () => {
    const speaker = await connect();
    speaker.subscribe('1', 'subscription { silence }');
    await speaker.next('1');
    const leftAt = performance.now();
    speaker.send({ type: 'complete', id: '1' });
    expect((await stopped) - leftAt).toBeLessThan(100);
  });

  test('a socket that is cut stops its sources within 100 ms', { retry: 3 }, async () => {
    const speaker = await connect();
    speaker.subscribe('1', 'subscription { silence }');
    await speaker.next('1');
    const leftAt = performance.now();
    speaker.socket.terminate();
    expect((await stopped) - leftAt).toBeLessThan(100);
  });

  test('a client that does not read holds its source up, and nothing piles up', async () => {
    const speaker = await connect();
    speaker.subscribe('1', 'subscription { flood }');
    await speaker.next('1');
    speaker.socket.pause();
    await expect.poll(async () => isSteady(() => flooded), { timeout: 5_000 }).toBe(true);
    const held = flooded;
    expect(held * 64).toBeLessThan(32 * 1024);
    speaker.socket.resume();
    await expect.poll(() => flooded).toBeGreaterThan(held + 10);
  });

  test('1,000 subscriptions that are opened and dropped leave nothing behind', async () => {
    const before = process.getActiveResourcesInfo().length;
    const speaker = await connect();
    for (let id = 0; id < 1_000; id += 1) speaker.subscribe(String(id), 'subscription { silence }');
    for (let id = 0; id < 1_000; id += 1) await speaker.next(String(id));
    expect(running).toBe(1_000);
    speaker.subscribe('one too many', '{ __typename }');
    expect(await speaker.next('one too many')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'RATE_LIMITED' } }],
    });
    for (let id = 0; id < 500; id += 1) speaker.send({ type: 'complete', id: String(id) });
    await expect.poll(() => running).toBe(500);
    speaker.socket.terminate();
    await expect.poll(() => running).toBe(0);
    await expect.poll(() => process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before + 2);
  });
});

describe('credentials', () => {
  test.each([
    ['authorization', (token: string) => ({ authorization: `Bearer ${token}` })],
    ['Authorization', (token: string) => ({ Authorization: `Bearer ${token}` })],
    ['headers.Authorization', (token: string) => ({ headers: { Authorization: `Bearer ${token}` } })],
  ])('are taken from the connection parameter %s', async (_name, parameters) => {
    const speaker = await connect(parameters(server.admin));
    speaker.subscribe('1', '{ me { email } }');
    expect(await speaker.next('1')).toMatchObject({ payload: { data: { me: { email: 'admin@signalbox.local' } } } });
  });

  test('are taken from the headers of the upgrade', async () => {
    const speaker = await open({ headers: { 'x-api-key': server.apiKey } });
    speaker.send({ type: 'connection_init' });
    await speaker.next();
    speaker.subscribe('1', '{ me { email } }');
    expect(await speaker.next('1')).toMatchObject({ payload: { data: { me: { email: 'admin@signalbox.local' } } } });
  });

  test.each(['Bearer nonsense', 'Bearer sbx_nonsense', 'Basic dTpw'])(
    '"%s" closes the socket with 4403',
    async (authorization) => {
      const speaker = await open();
      speaker.send({ type: 'connection_init', payload: { authorization } });
      expect(await speaker.closed).toBe(4403);
    },
  );

  test('a token that expires closes the socket with 4403', async () => {
    const account = await server.services.prisma.user.findFirstOrThrow();
    const token = await new Tokens(JWT_SECRET, 2).sign(account.id);
    const speaker = await connect({ authorization: `Bearer ${token}` });
    speaker.subscribe('1', 'subscription { silence }');
    await speaker.next('1');
    expect(await speaker.closed).toBe(4403);
    await stopped;
  });

  test('a revoked key is refused its next operation, and its socket is closed with 4403', async () => {
    const created = await server.query<{ createApiKey: { key: string; apiKey: { id: string } } }, object>(
      'mutation { createApiKey(input: { name: "x", isAdmin: true }) { ... on CreateApiKeySuccess { key apiKey { id } } } }',
    );
    const { key, apiKey } = created.data.createApiKey;
    const speaker = await connect({ authorization: `Bearer ${key}` });
    speaker.subscribe('before', '{ me { email } }');
    expect(await speaker.next('before')).toMatchObject({
      payload: { data: { me: { email: 'admin@signalbox.local' } } },
    });
    await server.query('mutation ($id: ID!) { revokeApiKey(id: $id) { __typename } }', { id: apiKey.id });
    speaker.subscribe('after', '{ me { email } }');
    expect(await speaker.next('after')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
    expect(await speaker.closed).toBe(4403);
  });

  test('permission is checked again for every event', async () => {
    const { services } = server;
    const { id } = await changeAccounts(services, (tx, revision) =>
      tx.user.create({ data: { email: 'demoted@example.com', passwordHash: 'none', role: 'ADMIN', revision } }),
    );
    const speaker = await connect({ authorization: `Bearer ${await services.tokens.sign(id)}` });
    speaker.subscribe('1', 'subscription { adminNews }');
    expect(await speaker.next('1')).toMatchObject({ payload: { data: { adminNews: 0 } } });
    publish();
    expect(await speaker.next('1')).toMatchObject({ payload: { data: { adminNews: 1 } } });
    await changeAccounts(services, (tx, revision) =>
      tx.user.update({ where: { id }, data: { role: 'USER', revision } }),
    );
    publish();
    expect(await speaker.next('1')).toMatchObject({ payload: { errors: [{ extensions: { code: 'FORBIDDEN' } }] } });
    expect(await speaker.next('1')).toMatchObject({ type: 'complete' });
  });

  test('each operation counts against the rate limit of its caller, and a refusal does not close the socket', async () => {
    const created = await server.query<{ createApiKey: { key: string } }, object>(
      'mutation { createApiKey(input: { name: "x", rateLimitPerMinute: 2 }) { ... on CreateApiKeySuccess { key } } }',
    );
    const speaker = await connect({ authorization: `Bearer ${created.data.createApiKey.key}` });
    for (const id of ['1', '2']) {
      speaker.subscribe(id, '{ __typename }');
      expect((await speaker.next(id)).type).toBe('next');
    }
    speaker.subscribe('3', '{ __typename }');
    expect(await speaker.next('3')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) } }],
    });
    expect(speaker.socket.readyState).toBe(WebSocket.OPEN);
  });
});

describe('sockets', () => {
  test('are refused to pages of foreign origins', async () => {
    expect(await statusOf(address(), { origin: 'https://evil.example.com' })).toBe(403);
    for (const origin of ['https://app.example.com', server.url]) {
      const speaker = await open({ origin });
      expect(speaker.socket.readyState).toBe(WebSocket.OPEN);
    }
  });

  test('are refused on other paths', async () => {
    expect(await statusOf(`${address()}/other`, {})).toBe(404);
  });

  test.each([
    ['a message over the limit', 1009, (socket: WebSocket) => socket.send('x'.repeat(65 * 1024))],
    ['invalid UTF-8', 1007, (socket: WebSocket) => socket.send(Buffer.from([0xff, 0xfe]), { binary: false })],
    ['no JSON', 4400, (socket: WebSocket) => socket.send('{')],
    ['an unknown message', 4400, (socket: WebSocket) => socket.send('{"type":"nonsense"}')],
    [
      'an operation before the introduction',
      4401,
      (socket: WebSocket) => socket.send('{"type":"subscribe","id":"1","payload":{"query":"{me{id}}"}}'),
    ],
  ])('%s closes the socket with %d, and the server goes on', async (_name, code, send) => {
    const speaker = await open();
    speaker.socket.on('error', () => undefined);
    send(speaker.socket);
    expect(await speaker.closed).toBe(code);
    expect((await server.query('{ __typename }')).status).toBe(200);
  });

  test('end their subscriptions and close with 1001 when the server stops, and streams over HTTP end, too', async () => {
    const other = await startServer();
    const socket = new WebSocket(`${other.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const speaker = new Speaker(socket);
    await once(socket, 'open');
    speaker.send({ type: 'connection_init' });
    await speaker.next();
    speaker.subscribe('1', 'subscription { silence }');
    await speaker.next('1');
    const events = await fetch(`${other.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: '{"query": "subscription { silence }"}',
    });
    const closing = other.close();
    expect(await speaker.next('1')).toMatchObject({ type: 'complete' });
    expect(await speaker.closed).toBe(1001);
    expect(await events.text()).toMatch(/event: complete\ndata:\n\n$/);
    await closing;
  });
});

async function isSteady(read: () => number): Promise<boolean> {
  const before = read();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return read() === before;
}
