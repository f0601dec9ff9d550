import SchemaBuilder, { createContextCache } from '@pothos/core';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { createClient, type ServerOptions } from 'graphql-ws';
import { createSchema } from 'graphql-yoga';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { changeAccounts } from '../../src/control/accounts/change-accounts.ts';
import { builder } from '../../src/control/schema/builder.ts';
import { Tokens } from '../../src/gateway/admission/tokens.ts';
import { Hub } from '../../src/platform/events/hub.ts';
import { eventually } from '../kit/eventually.ts';
import { JWT_SECRET, startServer, type TestServer } from '../kit/server.ts';
import { Speaker, startStock } from './kit.ts';

const news = new Hub<number>();
const follow = (signal: AbortSignal) => news.subscribe({ overflow: 'END' }, signal);

builder.subscriptionField('numbers', (t) =>
  t.int({
    authScopes: { user: true },
    subscribe: (_root, _args, { signal }) => follow(signal),
    resolve: (number) => number,
  }),
);
builder.subscriptionField('adminNumbers', (t) =>
  t.int({
    authScopes: { admin: true },
    subscribe: (_root, _args, { signal }) => follow(signal),
    resolve: (number) => number,
  }),
);
builder.subscriptionField('groqNow', (t) =>
  t.prismaField({
    type: 'Provider',
    authScopes: { admin: true },
    subscribe: (_root, _args, { signal }) => follow(signal),
    resolve: (query, _number, _args, { services }) =>
      services.prisma.provider.findUniqueOrThrow({ ...query, where: { slug: 'groq' } }),
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const untilFollowed = (count = 1) => eventually(() => expect(news.size).toBe(count));
const never = new AbortController().signal;

describe('a permission that is lost between two events', () => {
  /** Whether a reader gets an event after `demote`. */
  async function readAfter(demote: () => Promise<void>, url: string, token = ''): Promise<boolean> {
    using speaker = await Speaker.connect(url, { authorization: `Bearer ${token}` });
    speaker.subscribe('1', 'subscription { adminNumbers }');
    await untilFollowed();
    news.publish(1);
    expect(await speaker.next('1')).toMatchObject({ payload: { data: { adminNumbers: 1 } } });
    await demote();
    news.publish(2);
    const { payload } = await speaker.next('1');
    return (payload as { data?: object | null }).data != null;
  }

  test.each([true, false])(
    'goes unnoticed with the stock scope-auth plugin (authorizeOnSubscribe: %s)',
    async (authorizeOnSubscribe) => {
      const caller = { isAdmin: true };
      const stockBuilder = new SchemaBuilder<{ Context: typeof caller; AuthScopes: { admin: boolean } }>({
        plugins: [ScopeAuthPlugin],
        scopeAuth: { authorizeOnSubscribe, authScopes: ({ isAdmin }: typeof caller) => ({ admin: isAdmin }) },
        // Its type wants the options of plugins that it does not have, too.
      } as never);
      stockBuilder.queryType({ fields: (t) => ({ ok: t.boolean({ resolve: () => true }) }) });
      stockBuilder.subscriptionType({
        fields: (t) => ({
          adminNumbers: t.int({
            authScopes: { admin: true },
            subscribe: () => follow(never),
            resolve: (number) => number,
          }),
        }),
      });
      const stock = await startStock({ schema: stockBuilder.toSchema(), context: () => caller });
      const demote = async () => {
        caller.isAdmin = false;
      };
      expect(await readAfter(demote, stock.url)).toBe(true);
      stock.close();
      news.publish(3);
      await untilFollowed(0);
    },
  );

  test('ends our subscription before the next event', async () => {
    const { services, url } = server;
    const data = { email: 'demoted@example.com', passwordHash: '-', role: 'ADMIN' as const };
    const { id } = await changeAccounts(services, (tx, revision) => tx.user.create({ data: { ...data, revision } }));
    const demote = async () => {
      await changeAccounts(services, (tx, revision) =>
        tx.user.update({ where: { id }, data: { role: 'USER', revision } }),
      );
    };
    expect(await readAfter(demote, url, await services.tokens.sign(id))).toBe(false);
    await untilFollowed(0);
  });
});

describe('what changes between two events', () => {
  /** The data of an event, and of another after `change`. */
  async function readTwice(url: string, query: string, change: () => Promise<void>, token = '') {
    using speaker = await Speaker.connect(url, { authorization: `Bearer ${token}` });
    speaker.subscribe('1', query);
    await untilFollowed();
    const read: unknown[] = [];
    for (const step of [async () => undefined, change]) {
      await step();
      news.publish(1);
      const { payload } = await speaker.next('1');
      read.push((payload as { data: object }).data);
    }
    return read;
  }

  test('is not seen through the stock loader, which keeps what it read for as long as the context lives', async () => {
    let balance = 1;
    // What Pothos and DataLoader keep their loaders in.
    const balanceOf = createContextCache(() => ({ now: balance }));
    const schema = createSchema({
      typeDefs: 'type Query { ok: Boolean } type Subscription { balance: Int! }',
      resolvers: {
        Subscription: {
          balance: { subscribe: () => follow(never), resolve: (_n: number, _a: object, c: object) => balanceOf(c).now },
        },
      },
    });
    const stock = await startStock({ schema, context: () => ({}) });
    const change = async () => {
      balance = 2;
    };
    expect(await readTwice(stock.url, 'subscription { balance }', change)).toEqual([{ balance: 1 }, { balance: 1 }]);
    stock.close();
    news.publish(2);
    await untilFollowed(0);
  });

  test('is seen in all parts of what our event tells, also in those that are read for many at once', async () => {
    const query = `subscription { groqNow { name keyHint health { status } models(first: 100) { totalCount nodes { name } } } }`;
    const change = async () => {
      const { rows } = await server.services.pool.query("SELECT id FROM providers WHERE slug = 'groq'");
      for (const [mutation, input] of [
        ['updateProvider', { id: 'groq', name: 'Renamed' }],
        ['setProviderKey', { provider: 'groq', key: 'gsk-0123456789abcdef' }],
        ['createModel', { provider: 'groq', name: 'brand-new' }],
      ] as const) {
        const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}`;
        const { data, errors } = await server.query<Record<string, { __typename: string }>, object>(
          `mutation ($input: ${type}Input!) { ${mutation}(input: $input) { __typename ... on Error { message } } }`,
          { input },
        );
        expect({ errors, type: data?.[mutation]?.__typename }).toEqual({ errors: [], type: `${type}Success` });
      }
      await server.services.prisma.providerHealth.create({
        data: { providerId: rows[0].id, status: 'OFFLINE', checkedAt: new Date(), since: new Date() },
      });
    };
    const [before, after] = (await readTwice(server.url, query, change, server.admin)) as {
      groqNow: { keyHint: string | null; health: object | null; models: { totalCount: number; nodes: object[] } };
    }[];
    expect(before?.groqNow).toMatchObject({ keyHint: null, health: null });
    const count = before?.groqNow.models.totalCount ?? 0;
    expect(after?.groqNow).toMatchObject({ name: 'Renamed', keyHint: expect.any(String), health: {} });
    expect(after?.groqNow.models).toMatchObject({
      totalCount: count + 1,
      nodes: expect.arrayContaining([{ name: 'brand-new' }]),
    });
    await untilFollowed(0);
  });
});

describe('a token that expires under an open socket', () => {
  /** A client as frontends use it: it takes a new token for each connection, and connects again when it is closed. */
  function keepFollowing(url: string, tokens: () => Promise<string>) {
    const state = { connections: 0, codes: [] as number[], events: 0, error: null as unknown };
    const client = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: async () => ({ authorization: `Bearer ${await tokens()}` }),
      retryWait: () => Promise.resolve(),
      on: {
        connected: () => {
          state.connections += 1;
        },
        closed: (event) => void state.codes.push((event as { code: number }).code),
      },
    });
    client.subscribe(
      { query: 'subscription { numbers }' },
      {
        next: ({ data }) => {
          if (data) state.events += 1;
        },
        error: (error) => {
          state.error = error;
        },
        complete: () => undefined,
      },
    );
    return { state, client };
  }

  /** The stock server: it looks at the token once, or closes with `code` when it is over. */
  function stockOptions(tokens: Tokens, code?: number): ServerOptions {
    return {
      schema: createSchema({
        typeDefs: 'type Query { ok: Boolean } type Subscription { numbers: Int! }',
        resolvers: { Subscription: { numbers: { subscribe: () => follow(never), resolve: (n: number) => n } } },
      }),
      onConnect: async ({ connectionParams, extra }) => {
        const token = String(connectionParams?.authorization).slice('Bearer '.length);
        await tokens.verify(token);
        const { socket } = extra as { socket: WebSocket };
        if (code) setTimeout(() => socket.close(code, 'over'), 100);
        return true;
      },
    };
  }

  test('is served on by the stock server, which looks at it once', async () => {
    const tokens = new Tokens(JWT_SECRET, 1);
    const token = await tokens.sign('somebody');
    const stock = await startStock(stockOptions(tokens));
    const { state, client } = keepFollowing(stock.url, async () => token);
    await untilFollowed();
    await eventually(() => expect(tokens.verify(token)).rejects.toThrow());
    news.publish(1);
    await eventually(() => expect(state.events).toBe(1));
    expect(state).toMatchObject({ connections: 1, codes: [] });
    await client.dispose();
    stock.close();
    news.publish(2);
    await untilFollowed(0);
  });

  test.each([
    [4401, 'gives up', { connections: 1, error: expect.anything() }],
    [4403, 'comes back with a new one', { connections: 2, error: null }],
  ])('makes a client that is closed with %d one that %s', async (code, _what, outcome) => {
    const tokens = new Tokens(JWT_SECRET, 60);
    const stock = await startStock(stockOptions(tokens, code));
    const { state, client } = keepFollowing(stock.url, () => tokens.sign('somebody'));
    await eventually(() => expect(state).toMatchObject(outcome));
    expect(state.codes).toEqual([code]);
    await client.dispose();
    stock.close();
    news.publish(1);
    await untilFollowed(0);
  });

  interface FirstCredential {
    credential: string;
    /** Ends it; one that ends by itself needs nothing. */
    end(): Promise<unknown>;
  }

  async function shortToken(): Promise<FirstCredential> {
    const { id } = await server.services.prisma.user.findFirstOrThrow();
    return { credential: await new Tokens(JWT_SECRET, 2).sign(id), end: async () => undefined };
  }

  async function keyToRevoke(): Promise<FirstCredential> {
    const { data } = await server.query<{ createApiKey: { key: string; apiKey: { id: string } } }, object>(
      'mutation { createApiKey(input: { name: "x", isAdmin: true }) { ... on CreateApiKeySuccess { key apiKey { id } } } }',
    );
    const { key, apiKey } = data.createApiKey;
    const revoke = () => server.query(`mutation { revokeApiKey(id: "${apiKey.id}") { __typename } }`);
    return { credential: key, end: revoke };
  }

  test.each([
    ['a token that expires', shortToken],
    ['a key that is revoked', keyToRevoke],
  ])('is closed by ours with 4403 for %s, and the client goes on with its next one', async (_what, makeFirst) => {
    const { credential, end } = await makeFirst();
    const credentials = [credential, server.admin];
    const { state, client } = keepFollowing(server.url, async () => credentials.shift() ?? server.admin);
    await untilFollowed();
    news.publish(1);
    await eventually(() => expect(state.events).toBe(1));
    await end();
    await eventually(() => expect(state).toMatchObject({ connections: 2, codes: [4403] }));
    await untilFollowed();
    news.publish(2);
    await eventually(() => expect(state.events).toBe(2));
    expect(state.error).toBeNull();
    await client.dispose();
    await untilFollowed(0);
  });
});
