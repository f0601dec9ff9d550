import { createSchema, createYoga } from 'graphql-yoga';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { builder } from '../../src/control/schema/builder.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { type Stock, startStock } from './kit.ts';

const EVIL = 'https://evil.example.com';

/** What was done, on either server. */
let done = 0;
const act = () => {
  done += 1;
  return done;
};

builder.mutationField('act', (t) => t.int({ authScopes: { public: true }, resolve: act }));
builder.queryField('look', (t) => t.int({ authScopes: { public: true }, resolve: act }));

const schema = createSchema({
  typeDefs: 'type Query { look: Int! } type Mutation { act: Int! }',
  resolvers: { Query: { look: act }, Mutation: { act } },
});

let server: TestServer;
let stock: Stock;
beforeAll(async () => {
  const yoga = createYoga({ schema, logging: false });
  stock = await startStock({ schema }, yoga);
  server = await startServer({ corsOrigins: ['https://app.example.com'] });
});
afterAll(async () => {
  stock.close();
  await server.close();
});
beforeEach(() => {
  done = 0;
});

/** What a browser adds to what a page of another site sends. */
const FOREIGN = { origin: EVIL, 'sec-fetch-site': 'cross-site', cookie: 'session=1' };

/** Whether a page of `origin` may read answers, and whether with the cookies that the browser has for the server. */
async function readable(url: string, origin: string): Promise<{ before: boolean; after: boolean; cookies: boolean }> {
  const ask = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
  const preflight = await fetch(`${url}/graphql`, { method: 'OPTIONS', headers: { origin, ...ask } });
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { origin, 'content-type': 'application/json' },
    body: '{"query": "{ __typename }"}',
  });
  const allows = ({ headers }: Response) => ['*', origin].includes(headers.get('access-control-allow-origin') ?? '');
  const cookies = [preflight, answer].some(
    (one) => allows(one) && one.headers.get('access-control-allow-credentials') === 'true',
  );
  return { before: allows(preflight), after: allows(answer), cookies };
}

describe('a page of a foreign origin', () => {
  test('may read everything, with cookies, from stock Yoga', async () => {
    expect(await readable(stock.url, EVIL)).toEqual({ before: true, after: true, cookies: true });
  });

  test('may read nothing from ours, and one whose origin is on the list may', async () => {
    for (const origin of [EVIL, 'null', 'https://app.example.com.evil.example']) {
      expect(await readable(server.url, origin)).toEqual({ before: false, after: false, cookies: false });
    }
    const allowed = await readable(server.url, 'https://app.example.com');
    expect(allowed).toEqual({ before: true, after: true, cookies: false });
  });
});

const MUTATION = 'mutation { act }';
const multipart = () => {
  const form = new FormData();
  form.set('operations', JSON.stringify({ query: MUTATION }));
  form.set('map', '{}');
  return form;
};

/** What a page can send anywhere without asking first. */
const SENDS: Record<string, () => RequestInit> = {
  'a form': () => ({ method: 'POST', body: new URLSearchParams({ query: MUTATION }) }),
  'a form with files': () => ({ method: 'POST', body: multipart() }),
  'a link': () => ({ method: 'GET' }),
};
const plain = (type: string) => () => ({
  method: 'POST',
  headers: { 'content-type': type },
  body: JSON.stringify({ query: MUTATION }),
});

/** What is done on a server by what a foreign page makes a browser send. */
async function doneBy(url: string, send: RequestInit): Promise<number> {
  const target = send.method === 'GET' ? `${url}/graphql?query={look}` : `${url}/graphql`;
  const headers = { ...FOREIGN, ...(send.headers as Record<string, string>) };
  const response = await fetch(target, { ...send, headers });
  await response.text();
  return done;
}

describe.each(Object.entries(SENDS))('%s that a foreign page makes a browser send', (_what, send) => {
  test('does something on stock Yoga', async () => {
    expect(await doneBy(stock.url, send())).toBe(1);
  });

  test('does nothing on ours', async () => {
    expect(await doneBy(server.url, send())).toBe(0);
  });
});

test.each(['text/plain', 'text/plain; charset=application/json', 'application/json-patch', 'application/graphql', ''])(
  'JSON that says it is "%s" does nothing on ours either',
  async (type) => {
    expect(await doneBy(server.url, plain(type)())).toBe(0);
  },
);

test('the same operations are done by ours when they are sent as they should be', async () => {
  expect((await server.query<{ act: number }, object>(MUTATION)).data).toEqual({ act: 1 });
  await (await fetch(`${server.url}/graphql?query={look}`)).text();
  expect(done).toBe(2);
});
