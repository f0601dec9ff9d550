import SchemaBuilder from '@pothos/core';
import ComplexityPlugin, { complexityFromQuery } from '@pothos/plugin-complexity';
import RelayPlugin, { resolveOffsetConnection } from '@pothos/plugin-relay';
import {
  GraphQLError,
  type GraphQLSchema,
  getNamedType,
  isObjectType,
  isRequiredArgument,
  parse,
  type ValidationRule,
} from 'graphql';
import { createSchema, createYoga, type Plugin } from 'graphql-yoga';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildSchema } from '../../src/control/schema/schema.ts';
import { startServer, type TestServer } from '../kit/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ rateLimitPerMinute: 0 });
});
afterAll(() => server.close());

interface Asking {
  query: string;
  variables?: object;
  caller?: 'admin' | 'nobody';
}

/** Whether each of these was refused, sent one after the other; documents are the same from one to the next. */
type Send = (asking: Asking) => Promise<boolean>;

async function refusals(send: Send, all: readonly Asking[]): Promise<boolean[]> {
  const refused: boolean[] = [];
  for (const asking of all) refused.push(await send(asking));
  return refused;
}

/** Yoga with a limit written as its documentation writes rules: it sees the request that it is for. */
function createLimitedYoga(): Send {
  const limit =
    (variables: Record<string, unknown> = {}, caller: unknown): ValidationRule =>
    (context) => ({
      Document() {
        if (Number(variables.first ?? 0) > 10) context.reportError(new GraphQLError('too many'));
        if (caller === 'nobody') context.reportError(new GraphQLError('not for you'));
      },
    });
  const useLimit: Plugin = {
    onValidate: ({ addValidationRule, context }) => {
      const { params, request } = context as { params: { variables?: Record<string, unknown> }; request: Request };
      addValidationRule(limit(params.variables, request.headers.get('x-caller')));
    },
  };
  const schema = createSchema({ typeDefs: 'type Query { list(first: Int): Int }' });
  const yoga = createYoga({ schema, plugins: [useLimit], logging: false });
  return async ({ query, variables, caller = 'admin' }) => {
    const response = await yoga.fetch('http://stock/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-caller': caller },
      body: JSON.stringify({ query, variables }),
    });
    return ((await response.json()) as { errors?: unknown[] }).errors !== undefined;
  };
}

const overHttp: Send = async ({ query, variables, caller = 'admin' }) => {
  const { errors } = await server.query(query, variables, caller === 'admin' ? { token: server.admin } : {});
  return errors.length > 0;
};

const overWebSocket: Send = async ({ query, variables, caller = 'admin' }) => {
  const client = server.ws(caller === 'admin' ? { token: server.admin } : {});
  const payload = { query, variables: { ...variables } };
  try {
    for await (const { errors } of client.iterate(payload)) if (errors) return true;
    return false;
  } catch {
    return true;
  } finally {
    await client.dispose();
  }
};

/** Little text, which asks for too much with pages of 100; `mark` makes it a document that was never seen. */
function wide(mark: string): string {
  const pages = Array.from({ length: 11 }, (_, at) => `${mark}${at}: apiKeys(first: $first) { nodes { ...F } }`);
  return `query ($first: Int) { ${pages.join(' ')} } fragment F on ApiKey { ${'id '.repeat(100)} }`;
}

describe.each([
  ['a small page, then a large one', [1, 100]],
  ['a large page, then a small one', [100, 1]],
])('one document with %s', (what, sizes) => {
  const isRight = sizes.map((size) => size === 100);

  test('is judged by the first in stock Yoga, where a limit is a validation rule', async () => {
    const query = 'query ($first: Int) { list(first: $first) }';
    const all = sizes.map((first) => ({ query, variables: { first } }));
    expect(await refusals(createLimitedYoga(), all)).toEqual([isRight[0], isRight[0]]);
  });

  test.each([
    ['HTTP', 'h', overHttp],
    ['WebSocket', 'w', overWebSocket],
  ])('is judged each time by ours, over %s', async (_door, mark, send) => {
    const query = wide(`${mark}${what.replaceAll(/\W/g, '')}`);
    const all = sizes.map((first) => ({ query, variables: { first } }));
    expect(await refusals(send, all)).toEqual(isRight);
  });
});

describe.each([
  ['an admin, then nobody', ['admin', 'nobody'] as const],
  ['nobody, then an admin', ['nobody', 'admin'] as const],
])('one document from %s', (what, callers) => {
  const isRight = callers.map((caller) => caller === 'nobody');

  test('is judged by the first in stock Yoga', async () => {
    const all = callers.map((caller) => ({ query: '{ list }', caller }));
    expect(await refusals(createLimitedYoga(), all)).toEqual([isRight[0], isRight[0]]);
  });

  test.each([
    ['HTTP', 'h', overHttp],
    ['WebSocket', 'w', overWebSocket],
  ])('is judged each time by ours, over %s', async (_door, mark, send) => {
    const query = `{ ${mark}${what.replaceAll(/\W/g, '')}: providers { id } }`;
    const all = callers.map((caller) => ({ query, caller }));
    expect(await refusals(send, all)).toEqual(isRight);
  });
});

/** Whether a page of a hundred costs at least fifty times what a page of one costs. */
function growsWithThePage(schema: GraphQLSchema, list: (first: number) => string, ctx: object = {}): boolean {
  const [one = 0, hundred = 0] = [1, 100].map(
    (first) => complexityFromQuery(parse(list(first)), { schema, ctx }).complexity,
  );
  return hundred > 50 * one;
}

/** A document for each list that has pages, wherever it stands. */
function listsIn(schema: GraphQLSchema): Record<string, (first: number) => string> {
  const lists: Record<string, (first: number) => string> = {};
  const seen = new Set<unknown>();
  const visit = (type: unknown, around: (inner: string) => string) => {
    if (!isObjectType(type) || seen.has(type)) return;
    seen.add(type);
    for (const { name, args, type: result } of Object.values(type.getFields())) {
      const given = args.filter(isRequiredArgument).map((arg) => `${arg.name}: "x"`);
      const call = (more: string[]) => `${name}${given.length + more.length > 0 ? `(${[...given, ...more]})` : ''}`;
      if (args.some((arg) => arg.name === 'first')) {
        lists[`${type.name}.${name}`] = (first) => around(`${call([`first: ${first}`])} { nodes { __typename } }`);
      }
      visit(getNamedType(result), (inner) => around(`${call([])} { ${inner} }`));
    }
  };
  visit(schema.getQueryType(), (inner) => `{ ${inner} }`);
  return lists;
}

describe('the complexity of a list', () => {
  test('does not grow with the page that is asked for with the stock plugin', () => {
    const stock = new SchemaBuilder<object>({ plugins: [RelayPlugin, ComplexityPlugin], relay: {} } as never);
    const Thing = stock.objectRef<number>('Thing').implement({
      fields: (t) => ({ number: t.int({ resolve: (number) => number }) }),
    });
    stock.queryType({
      fields: (t) => ({
        things: t.connection({ type: Thing, resolve: (_root, args) => resolveOffsetConnection({ args }, () => [1]) }),
      }),
    });
    const list = (first: number) => `{ things(first: ${first}) { edges { node { number } } } }`;
    expect(growsWithThePage(stock.toSchema(), list)).toBe(false);
  });

  test('grows with it for each of ours', () => {
    const schema = buildSchema();
    const lists = listsIn(schema);
    expect(Object.keys(lists)).toEqual(expect.arrayContaining(['Query.requests', 'Query.apiKeys', 'Provider.models']));
    const ctx = { caller: { kind: 'USER', account: { role: 'ADMIN' } }, services: server.services };
    const wrong = Object.entries(lists).filter(([, list]) => !growsWithThePage(schema, list, ctx));
    expect(wrong.map(([name]) => name)).toEqual([]);
  });
});
