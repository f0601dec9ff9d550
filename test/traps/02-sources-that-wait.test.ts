import { EventEmitter, on } from 'node:events';
import { createSchema, createYoga } from 'graphql-yoga';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { builder } from '../../src/control/schema/builder.ts';
import { eventually } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { Speaker, type Stock, startStock } from './kit.ts';

/** Time enough for a source to end after its reader left; test/server/graphql measures the 100 ms that are promised. */
const CLEAN_UP_MS = 300;

/** Sources that are open, and their listeners. */
let open = 0;
const news = new EventEmitter();

/** As the documentation of Yoga, graphql-js and graphql-ws writes a source, but for the signal, which only we give. */
async function* waitForNews(signal?: AbortSignal) {
  open += 1;
  try {
    yield 'hello';
    for await (const [event] of on(news, 'event', signal ? { signal } : {})) yield event as string;
  } finally {
    open -= 1;
  }
}

builder.subscriptionField('waitingNews', (t) =>
  t.string({
    authScopes: { public: true },
    subscribe: (_root, _args, { signal }) => waitForNews(signal),
    resolve: (event) => event,
  }),
);

const schema = createSchema({
  typeDefs: 'type Query { ok: Boolean } type Subscription { waitingNews: String! }',
  resolvers: { Subscription: { waitingNews: { subscribe: () => waitForNews(), resolve: (event: string) => event } } },
});

let server: TestServer;
let stock: Stock;
beforeAll(async () => {
  const yoga = createYoga({ schema, logging: false });
  stock = await startStock({ schema }, yoga);
  server = await startServer();
});
afterAll(async () => {
  stock.close();
  await server.close();
});
beforeEach(async () => {
  // Whatever the stock servers left behind ends with the next event, and the one after it.
  await eventually(() => {
    news.emit('event', 'late');
    expect([open, news.listenerCount('event')]).toEqual([0, 0]);
  });
});

/** The ways a reader leaves. Each subscribes, reads the first event, and leaves while the source waits for another. */
const LEAVE: Record<string, (url: string) => Promise<void>> = {
  'unsubscribes on a socket': async (url) => {
    const speaker = await Speaker.connect(url);
    speaker.subscribe('1', 'subscription { waitingNews }');
    await speaker.next('1');
    await untilItWaits();
    speaker.send({ type: 'complete', id: '1' });
  },
  'cuts the socket': async (url) => {
    const speaker = await Speaker.connect(url);
    speaker.subscribe('1', 'subscription { waitingNews }');
    await speaker.next('1');
    await untilItWaits();
    speaker.socket.terminate();
  },
  'closes a stream over HTTP': async (url) => {
    const controller = new AbortController();
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: '{"query": "subscription { waitingNews }"}',
      signal: controller.signal,
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (let seen = ''; !seen.includes('hello'); ) seen += Buffer.from((await reader.read()).value ?? []).toString();
    await untilItWaits();
    controller.abort();
  },
};

const untilItWaits = () => eventually(() => expect(news.listenerCount('event')).toBe(1));

/** What is left of a source some time after its reader left. */
async function leftBehind(): Promise<{ open: number; listeners: number }> {
  await eventually(() => expect(open).toBe(0), CLEAN_UP_MS).catch(() => undefined);
  return { open, listeners: news.listenerCount('event') };
}

describe.each(Object.entries(LEAVE))('when a reader %s', (_how, leave) => {
  test('the source goes on waiting in the stock server', async () => {
    await leave(stock.url);
    expect(await leftBehind()).toEqual({ open: 1, listeners: 1 });
  });

  test('the source has ended and cleaned up in ours', async () => {
    await leave(server.url);
    expect(await leftBehind()).toEqual({ open: 0, listeners: 0 });
  });
});
