import { once } from 'node:events';
import { createSchema } from 'graphql-yoga';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { builder } from '../../src/control/schema/builder.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { type Message, Speaker, type Stock, settlesWithin, startStock } from './kit.ts';

const MESSAGE_BYTES = 5 * 1024 * 1024;
/** One more than what our server allows. */
const MANY = 1_001;
const EVIL = 'https://evil.example.com';

async function* silence() {
  yield 'silence';
  await new Promise(() => undefined);
}

builder.subscriptionField('silence', (t) =>
  t.string({ authScopes: { public: true }, subscribe: silence, resolve: (text) => text }),
);

const schema = createSchema({
  typeDefs: 'type Query { ok: Boolean } type Subscription { silence: String! }',
  resolvers: { Subscription: { silence: { subscribe: silence, resolve: (text: string) => text } } },
});

let server: TestServer;
let stock: Stock;
const sockets: WebSocket[] = [];
let closing: Promise<void> | null = null;
function closeServer(): Promise<void> {
  closing ??= server.close();
  return closing;
}
beforeAll(async () => {
  stock = await startStock({ schema });
  server = await startServer({ rateLimitPerMinute: 0 });
});
afterEach(async () => {
  const open = sockets.splice(0).filter(({ readyState }) => readyState !== WebSocket.CLOSED);
  const closed = open.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  for (const socket of open) socket.terminate();
  await Promise.all(closed);
});
afterAll(async () => {
  stock.close();
  await closeServer();
});

describe('a message of 5 MiB', () => {
  async function sendLarge(url: string): Promise<Message | number> {
    using speaker = await Speaker.connect(url);
    speaker.subscribe('1', `{ __typename } # ${'x'.repeat(MESSAGE_BYTES)}`);
    const answer = await speaker.next('1');
    return answer.type === 'closed' ? speaker.closed : answer;
  }

  test('is read and run by the stock server', async () => {
    expect(await sendLarge(stock.url)).toMatchObject({ type: 'next' });
  });

  test('closes our socket with 1009', async () => {
    expect(await sendLarge(server.url)).toBe(1009);
  });
});

describe('1,001 subscriptions on one socket', () => {
  async function countRefused(url: string): Promise<number> {
    using speaker = await Speaker.connect(url);
    for (let id = 0; id < MANY; id += 1) speaker.subscribe(String(id), 'subscription { silence }');
    let refused = 0;
    for (let id = 0; id < MANY; id += 1) refused += (await speaker.next(String(id))).type === 'error' ? 1 : 0;
    return refused;
  }

  test('are all run by the stock server', async () => {
    expect(await countRefused(stock.url)).toBe(0);
  });

  test('are one too many for ours', async () => {
    expect(await countRefused(server.url)).toBe(1);
  });
});

/** The status of the answer to an upgrade. */
async function openStatus(url: string, origin?: string): Promise<number> {
  const options = origin ? { origin } : {};
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', options);
  sockets.push(socket);
  socket.on('error', () => undefined);
  const opened = once(socket, 'open').then(() => 101);
  const refused = once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number);
  return Promise.race([opened, refused]);
}

describe('1,001 sockets from one address', () => {
  async function countOpened(url: string): Promise<number> {
    const statuses = await Promise.all(Array.from({ length: MANY }, () => openStatus(url)));
    expect(statuses.every((status) => status === 101 || status === 429)).toBe(true);
    return statuses.filter((status) => status === 101).length;
  }

  test('are all opened by the stock server', async () => {
    expect(await countOpened(stock.url)).toBe(MANY);
  });

  test('are one too many for ours, until one of them is closed', async () => {
    expect(await countOpened(server.url)).toBe(MANY - 1);
    const [first] = sockets;
    first?.close();
    if (first) await once(first, 'close');
    await expect.poll(() => openStatus(server.url)).toBe(101);
  });
});

describe('a page of a foreign origin', () => {
  test('opens a socket to the stock server, with the cookies that the browser has for it', async () => {
    expect(await openStatus(stock.url, EVIL)).toBe(101);
  });

  test('does not open one to ours', async () => {
    expect(await openStatus(server.url, EVIL)).toBe(403);
    expect(await openStatus(server.url, server.url)).toBe(101);
  });
});

describe('a server that stops', () => {
  /** What a subscriber hears while the server closes as it is told to. */
  async function hear(url: string, close: () => unknown) {
    using speaker = await Speaker.connect(url);
    speaker.subscribe('1', 'subscription { silence }');
    await speaker.next('1');
    close();
    const last = speaker.next('1').then(({ type }) => type);
    if (!(await settlesWithin(last, 500))) return 'nothing';
    return { last: await last, code: await speaker.closed };
  }

  test('leaves its subscribers in silence when only its stock HTTP server is closed', async () => {
    const other = await startStock({ schema });
    expect(await hear(other.url, () => other.http.close())).toBe('nothing');
    other.close();
  });

  test('closes their sockets without a last event with the stock dispose()', async () => {
    const other = await startStock({ schema });
    expect(await hear(other.url, () => other.dispose())).toEqual({ last: 'closed', code: 1001 });
    other.close();
  });

  test('ends their subscriptions and closes their sockets with 1001, as ours does', async () => {
    expect(await hear(server.url, closeServer)).toEqual({ last: 'complete', code: 1001 });
  });
});
