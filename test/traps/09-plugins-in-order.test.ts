import SchemaBuilder from '@pothos/core';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import ScopeAuthPlugin, { ForbiddenError } from '@pothos/plugin-scope-auth';
import { execute, type GraphQLSchema, parse, subscribe } from 'graphql';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { builder } from '../../src/control/schema/builder.ts';
import type PrismaTypes from '../../src/generated/pothos-types.ts';
import { getDatamodel } from '../../src/generated/pothos-types.ts';
import { createPrisma } from '../../src/platform/database/prisma.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { Speaker } from './kit.ts';

/** Sources that were started. */
let started = 0;
async function* adminTicks() {
  started += 1;
  yield 1;
}

builder.subscriptionField('adminTicks', (t) =>
  t.int({ authScopes: { admin: true }, subscribe: adminTicks, resolve: (tick) => tick }),
);
builder.queryField('careless', (t) =>
  t.prismaField({
    type: ['Provider'],
    authScopes: { admin: true },
    resolve: (_query, _root, _args, { services }) => services.prisma.provider.findMany(),
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());
beforeEach(() => {
  started = 0;
});

interface Stock {
  AuthScopes: { admin: boolean };
  PrismaTypes: PrismaTypes;
  Context: object;
}

/** A schema with one mutation for admins, whose failures are results; nobody who asks is an admin. */
function stockSchema(plugins: readonly string[], scopeAuth: object = {}): GraphQLSchema {
  const stock = new SchemaBuilder<Stock>({
    plugins,
    scopeAuth: { authScopes: () => ({ admin: false }), ...scopeAuth },
    // Its type wants the options of plugins that it does not have, too.
  } as never);
  stock.objectType(ForbiddenError, { name: 'Forbidden', fields: (t) => ({ message: t.exposeString('message') }) });
  stock.queryType({ fields: (t) => ({ ok: t.boolean({ resolve: () => true }) }) });
  stock.mutationType({
    fields: (t) => ({
      spend: t.boolean({
        authScopes: { admin: true },
        errors: { types: [ForbiddenError] },
        resolve: () => true,
      }),
    }),
  });
  stock.subscriptionType({
    fields: (t) => ({
      adminTicks: t.int({ authScopes: { admin: true }, subscribe: adminTicks, resolve: (tick) => tick }),
    }),
  });
  return stock.toSchema();
}

/** Whether somebody who may not do what they ask for gets an error of the operation, and not a result of the field. */
async function isErrorOnStock(plugins: readonly string[]): Promise<boolean> {
  const document = parse('mutation { spend { __typename ... on Forbidden { message } } }');
  const { data } = await execute({ schema: stockSchema(plugins), document, contextValue: {} });
  return !data?.spend;
}

describe('a denial', () => {
  const FIRST = [ScopeAuthPlugin, ErrorsPlugin];
  const LAST = [ErrorsPlugin, ScopeAuthPlugin];

  test('is a result like any other when scope-auth comes after the errors plugin', async () => {
    expect(await isErrorOnStock(LAST)).toBe(false);
    expect(await isErrorOnStock(FIRST)).toBe(true);
  });

  test.each([
    ['complete(input: { messages: [] })', 'messages'],
    ['createApiKey(input: { name: "" })', 'name'],
    ['createProvider(input: { name: "", baseUrl: "nonsense" })', 'baseUrl'],
  ])('is an error in ours, and says nothing about the input of %s', async (field, problem) => {
    const document = `mutation { ${field} { __typename ... on Error { message } } }`;
    const { data, errors } = await server.query<Record<string, unknown> | null, object>(document, {}, {});
    expect(Object.values(data ?? {}).some(Boolean)).toBe(false);
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['UNAUTHENTICATED']);
    expect(JSON.stringify(errors)).not.toContain(problem);
  });
});

describe('the source of a subscription', () => {
  const SUBSCRIPTION = 'subscription { adminTicks }';

  async function startOnStock(scopeAuth: object): Promise<number> {
    const schema = stockSchema([ScopeAuthPlugin], scopeAuth);
    const result = await subscribe({ schema, document: parse(SUBSCRIPTION), contextValue: {} });
    if (Symbol.asyncIterator in result) await result.next();
    return started;
  }

  test('starts for somebody who is denied its events without authorizeOnSubscribe', async () => {
    expect(await startOnStock({})).toBe(1);
  });

  test('does not start with it', async () => {
    expect(await startOnStock({ authorizeOnSubscribe: true })).toBe(0);
  });

  test('does not start in ours for somebody who is denied, and does for an admin', async () => {
    using nobody = await Speaker.connect(server.url);
    nobody.subscribe('1', SUBSCRIPTION);
    expect(JSON.stringify(await nobody.next('1'))).toContain('UNAUTHENTICATED');
    expect(started).toBe(0);
    using admin = await Speaker.connect(server.url, { authorization: `Bearer ${server.admin}` });
    admin.subscribe('1', SUBSCRIPTION);
    expect(await admin.next('1')).toMatchObject({ type: 'next' });
    expect(started).toBe(1);
  });
});

describe('a field that forgets what Prisma should load with its rows', () => {
  /** Statements that a list costs, whose resolver passes on what Prisma should load, or does not. */
  async function countOnStock(isCareful: boolean): Promise<number> {
    let statements = 0;
    const prisma = createPrisma(server.connection, 1, () => {
      statements += 1;
    });
    const stock = new SchemaBuilder<Stock>({
      plugins: [PrismaPlugin],
      prisma: { client: prisma, dmmf: getDatamodel() },
    } as never);
    stock.prismaObject('ProviderKey', { fields: (t) => ({ hint: t.exposeString('hint') }) });
    stock.prismaObject('Provider', { fields: (t) => ({ keys: t.relation('keys') }) });
    stock.queryType({
      fields: (t) => ({
        providers: t.prismaField({
          type: ['Provider'],
          resolve: (query) => prisma.provider.findMany(isCareful ? query : {}),
        }),
      }),
    });
    const document = parse('{ providers { keys { hint } } }');
    const { errors } = await execute({ schema: stock.toSchema(), document, contextValue: {} });
    await prisma.$disconnect();
    expect(errors).toBeUndefined();
    return statements;
  }

  test('reads its rows twice, in silence, with the stock plugin', async () => {
    expect(await countOnStock(false)).toBeGreaterThan(await countOnStock(true));
  });

  test('fails in ours under test', async () => {
    const { data, errors } = await server.query<{ careless: object[] } | null, object>('{ careless { keyHint } }');
    expect(data).toBeNull();
    expect(errors).toMatchObject([{ extensions: { code: 'INTERNAL' }, path: ['careless'] }]);
  });
});
