import { GraphQLError } from 'graphql';
import { createSchema, createYoga, type Plugin } from 'graphql-yoga';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { builder } from '../../src/control/schema/builder.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { Speaker, type Stock, startStock } from './kit.ts';

const ALIASES = 101;
const MANY_ALIASES = `{ ${Array.from({ length: ALIASES }, (_, index) => `a${index}: __typename`).join(' ')} }`;

async function* ticks() {
  yield 'tick';
  await new Promise(() => undefined);
}

builder.subscriptionField('ticks', (t) =>
  t.string({ authScopes: { public: true }, subscribe: () => ticks(), resolve: (tick) => tick }),
);

const schema = createSchema({
  typeDefs: 'type Query { ok: Boolean } type Subscription { ticks: String! }',
  resolvers: { Subscription: { ticks: { subscribe: ticks, resolve: (tick: string) => tick } } },
});

/** A limit as a plugin of Yoga, on what our own limits refuse, too. */
function limitAliases(): Plugin {
  return {
    onParse: ({ params }) => {
      const aliases = String(params.source).split(':').length - 1;
      if (aliases >= ALIASES) throw new GraphQLError('too many aliases');
    },
  };
}

let server: TestServer;
let stock: Stock;
beforeAll(async () => {
  const yoga = createYoga({ schema, plugins: [limitAliases()], logging: false });
  stock = await startStock({ schema }, yoga);
  server = await startServer();
});
afterAll(async () => {
  stock.close();
  await server.close();
});

/** Whether the server refuses an operation, by the way that it comes in. */
async function refusals(url: string, query: string): Promise<{ http: boolean; webSocket: boolean }> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  const { errors } = (await response.json()) as { errors?: unknown[] };
  using speaker = await Speaker.connect(url);
  speaker.subscribe('1', query);
  const { type, payload } = await speaker.next('1');
  return {
    http: errors !== undefined,
    webSocket: type === 'error' || (payload as { errors?: unknown[] }).errors !== undefined,
  };
}

describe('a limit that HTTP keeps', () => {
  test('is passed by over the stock WebSocket server, which knows no plugins', async () => {
    expect(await refusals(stock.url, MANY_ALIASES)).toEqual({ http: true, webSocket: false });
  });

  test('is kept over our WebSocket', async () => {
    expect(await refusals(server.url, MANY_ALIASES)).toEqual({ http: true, webSocket: true });
  });
});

/** What becomes of a subscription, and of the socket, when another operation on it is no GraphQL. */
async function breakBeside(url: string, query: string) {
  using speaker = await Speaker.connect(url);
  speaker.subscribe('good', 'subscription { ticks }');
  await speaker.next('good');
  speaker.subscribe('bad', query);
  const answer = await speaker.next('bad');
  speaker.subscribe('after', '{ __typename }');
  const after = await speaker.next('after');
  return { answer: answer.type, after: after.type, code: answer.type === 'closed' ? await speaker.closed : null };
}

describe.each([
  ['a syntax error', '{ me '],
  ['no text at all', ''],
])('%s in one operation', (_what, query) => {
  test('closes the stock socket, and ends the other operations on it', async () => {
    // It prints the error.
    using _silence = vi.spyOn(console, 'error').mockReturnValue();
    expect(await breakBeside(stock.url, query)).toEqual({ answer: 'closed', after: 'closed', code: 4500 });
  });

  test('is answered with errors on ours, and the other operations go on', async () => {
    expect(await breakBeside(server.url, query)).toEqual({ answer: 'error', after: 'next', code: null });
  });
});
