import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { getIntrospectionQuery } from 'graphql';
import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builder } from '../../../src/control/schema/builder.ts';
import { createLog } from '../../../src/platform/log.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

const LIMIT_BYTES = 64 * 1024;
const logged: string[] = [];
/** When the source of `silence` was told to stop. */
let stoppedAt: Promise<number>;

builder.queryField('fault', (t) =>
  t.string({
    authScopes: { public: true },
    resolve: () => {
      throw new Error('the password is swordfish');
    },
  }),
);
builder.subscriptionField('countTo', (t) =>
  t.int({
    authScopes: { public: true },
    args: { last: t.arg.int({ required: true }) },
    async *subscribe(_root, { last }) {
      for (let number = 1; number <= last; number += 1) yield number;
    },
    resolve: (number) => number as number,
  }),
);
builder.subscriptionField('silence', (t) =>
  t.int({
    authScopes: { public: true },
    async *subscribe(_root, _args, { signal }) {
      stoppedAt = new Promise((resolve) => signal.addEventListener('abort', () => resolve(performance.now())));
      yield 0;
      await new Promise(() => undefined);
    },
    resolve: (number) => number as number,
  }),
);

let server: TestServer;
let endpoint: string;

beforeAll(async () => {
  const log = createLog({ logLevel: 'error' }, { write: (line) => void logged.push(line) });
  server = await startServer({ bodyLimitBytes: LIMIT_BYTES, corsOrigins: ['https://app.example.com'] }, log);
  endpoint = `${server.url}/graphql`;
});
afterAll(() => server.close());

async function post(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { response, body: await response.json(), status: response.status };
}

async function get(query: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${endpoint}?${query}`, { headers });
  return { response, body: await response.json(), status: response.status };
}

async function raw(request: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write(request);
  return text(socket);
}

const coded = (code: string) => ({
  errors: [{ message: expect.any(String), extensions: { code, requestId: expect.any(String) } }],
});

describe('GraphQL over HTTP', () => {
  for (const { id, name, fn } of serverAudits({ url: () => endpoint })) {
    test(`passes the audit ${id}: ${name}`, async () => {
      const result = await fn();
      expect('reason' in result ? result.reason : null).toBeNull();
    });
  }
});

describe('bodies that are no operation', () => {
  test.each([
    ['malformed JSON', '{"query": '],
    ['nothing', ''],
    ['null', 'null'],
    ['a number', '17'],
    ['an empty object', '{}'],
    ['a batch', '[{"query": "{ __typename }"}]'],
    ['a query that is a number', '{"query": 17}'],
    ['variables that are a list', '{"query": "{ __typename }", "variables": []}'],
    ['an unknown parameter', '{"query": "{ __typename }", "sql": "DROP"}'],
  ])('%s is refused with 400 and a code', async (_name, body) => {
    const answer = await post(body);
    expect(answer).toMatchObject({ status: 400, body: coded('VALIDATION') });
    expect(answer.body.errors[0].extensions.requestId).toBe(answer.response.headers.get('x-request-id'));
  });

  test('invalid UTF-8 is refused instead of being repaired', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"query": "{ __typename }", "operationName": "'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}'),
    ]);
    expect(await post(new Uint8Array(bytes))).toMatchObject({
      status: 400,
      body: { errors: [{ message: 'The body is not valid UTF-8.' }] },
    });
  });

  test('a body over the limit is refused with 413, whether its length is announced or not', async () => {
    const body = JSON.stringify({ query: `# ${'x'.repeat(LIMIT_BYTES)}\n{ __typename }` });
    expect(await post(body)).toMatchObject({ status: 413, body: coded('PAYLOAD_TOO_LARGE') });
    const stream = new Blob([body]).stream();
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: stream,
      duplex: 'half',
    } as RequestInit);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { limitBytes: LIMIT_BYTES } }] });
  });

  test('a body just under the limit is taken', async () => {
    const body = JSON.stringify({ query: `# ${'x'.repeat(LIMIT_BYTES - 100)}\n{ __typename }` });
    expect(await post(body)).toMatchObject({ status: 200, body: { data: { __typename: 'Query' } } });
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/graphql',
  ])('the content type %s, which foreign pages can send, is refused with 415', async (type) => {
    expect(await post('{"query": "{ __typename }"}', { 'content-type': type })).toMatchObject({
      status: 415,
      body: coded('VALIDATION'),
    });
  });

  test('other methods are refused with 405', async () => {
    const response = await fetch(endpoint, { method: 'PUT', body: '{}' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, POST');
    expect(await response.json()).toMatchObject(coded('VALIDATION'));
  });
});

describe('documents', () => {
  test.each([
    ['a syntax error', '{ me '],
    ['an unknown field', '{ you }'],
    ['a wrong argument', '{ apiKeys(first: "many") { totalCount } }'],
    ['a variable of the wrong type', 'query ($first: Int!) { apiKeys(first: $first) { totalCount } }'],
    ['two operations and no name', 'query A { __typename } query B { __typename }'],
    [
      'a USD that is no amount',
      'mutation { createProvider(input: { name: "x", models: [{ name: "y", inputPrice: "free" }] }) { __typename } }',
    ],
  ])('%s is a coded error and no fault', async (_name, query) => {
    const { status, errors } = await server.query(query, { first: 'many' });
    expect(status).toBeLessThan(500);
    expect(errors.map(({ extensions }) => extensions.code)).toContain('VALIDATION');
    expect(errors.every(({ extensions }) => typeof extensions.requestId === 'string')).toBe(true);
  });

  /** The same list under many names. */
  function models(from: number, to: number): string {
    const names = Array.from({ length: to - from }, (_, index) => `m${from + index}`);
    return names.map((name) => `${name}: models(first: 1) { totalCount }`).join(' ');
  }

  /** Much in few tokens: a fragment with 100 fields, on each key of `lists` pages. */
  const wide = (lists: number) => {
    const pages = Array.from({ length: lists }, (_, index) => `a${index}: apiKeys(first: $first) { nodes { ...F } }`);
    return `query ($first: Int = 100) { ${pages.join(' ')} } fragment F on ApiKey { ${'id '.repeat(100)} }`;
  };

  test.each([
    [
      'too many aliases',
      `{ ${Array.from({ length: 101 }, (_, index) => `a${index}: __typename`).join(' ')} }`,
      '101 aliases',
    ],
    [
      'too many aliases beside the schema',
      `{ ${Array.from({ length: 11 }, (_, index) => `a${index}: __schema { types { name } }`).join(' ')} }`,
      'the limit beside __schema and __type is 10',
    ],
    [
      'too many fields at its root',
      `{ ...A ...B } fragment A on Query { ${models(0, 26)} } fragment B on Query { ... { ${models(26, 51)} } }`,
      '51 fields at its root',
    ],
    ['too many tokens', `{ ${'me '.repeat(6_000)} }`, '2000 tokens'],
    ['too much below its lists', wide(11), 'complexity'],
  ])('an operation with %s is refused', async (_name, query, why) => {
    const { errors, data } = await server.query(query);
    expect(errors[0]?.message).toContain(why);
    expect(errors[0]?.extensions.code).toBe('VALIDATION');
    expect(data ?? null).toBeNull();
  });

  test('a fragment that is spread twice counts once, and names that answer nothing count for nothing', async () => {
    const query = `{ ...A ...A ${'__typename '.repeat(60)} } fragment A on Query { ${models(0, 50)} }`;
    expect((await server.query(query)).errors).toEqual([]);
  });

  test('an introspection that goes round in circles is refused, the one of clients is not', async () => {
    const circles =
      '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }';
    expect((await server.query(circles)).errors[0]?.extensions.code).toBe('VALIDATION');
    expect((await server.query(getIntrospectionQuery(), {}, {})).errors).toEqual([]);
  });

  test('the complexity counts the page size in variables, also after the same document passed with a small one', async () => {
    expect((await server.query(wide(11), { first: 1 })).errors).toEqual([]);
    expect((await server.query(wide(11), { first: 100 })).errors[0]?.message).toContain('complexity');
    expect((await server.query(wide(11), { first: 1 })).errors).toEqual([]);
  });

  // A busy machine can miss the limit by itself.
  test('the dearest document within the limits holds nobody up', { retry: 3 }, async () => {
    const startedAt = performance.now();
    await Promise.all([server.query(`{ ${'__typename '.repeat(1_990)} }`), server.query('{ __typename }')]);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  test.each([0, -1, 101])('a page of %d is refused, not silently cut', async (first) => {
    const { errors } = await server.query('query ($first: Int) { apiKeys(first: $first) { totalCount } }', { first });
    expect(errors[0]).toMatchObject({ extensions: { code: 'VALIDATION', issues: [{ path: 'first' }] } });
  });

  test.each(['', 'nonsense', 'aWQ6bm9wZQ', '💥'.repeat(1000)])('the cursor "%s" is never a fault', async (after) => {
    const { errors } = await server.query('query ($after: String) { apiKeys(after: $after) { totalCount } }', {
      after,
    });
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(after === '' ? [] : ['VALIDATION']);
  });

  test('a fault is hidden behind its request id, and the log has both', async () => {
    const { errors, headers } = await server.query('{ fault }');
    const requestId = headers.get('x-request-id');
    expect(errors[0]).toMatchObject({ extensions: { code: 'INTERNAL', requestId } });
    expect(JSON.stringify(errors)).not.toContain('swordfish');
    expect(logged.filter((line) => line.includes('swordfish') && line.includes(requestId as string))).toHaveLength(1);
  });
});

describe('GET', () => {
  test('queries, but does not change anything', async () => {
    expect(await get('query={__typename}')).toMatchObject({ status: 200, body: { data: { __typename: 'Query' } } });
    const refused = await get(`query=${encodeURIComponent('mutation { revokeApiKey(id: "x") { __typename } }')}`);
    expect(refused).toMatchObject({ status: 405, body: coded('VALIDATION') });
    expect(await get('query={__typename}&variables={')).toMatchObject({ status: 400, body: coded('VALIDATION') });
  });

  test('is refused to pages of foreign origins', async () => {
    const query = 'query={__typename}';
    expect(await get(query, { origin: 'https://evil.example.com' })).toMatchObject({ status: 403 });
    expect(await get(query, { origin: 'https://app.example.com' })).toMatchObject({ status: 200 });
  });

  test('answers origins on the list, and no others, with CORS headers', async () => {
    const allowed = await fetch(endpoint, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example.com', 'access-control-request-method': 'POST' },
    });
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
    const refused = await fetch(endpoint, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example.com', 'access-control-request-method': 'POST' },
    });
    expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    const answer = await post('{"query": "{ __typename }"}', { origin: 'https://evil.example.com' });
    expect(answer.response.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('targets and hosts that make no URL', () => {
  test.each([
    ['a host with blanks', '/graphql', 'a b%%%:::99999'],
    ['half an IPv6 address', '/graphql', '[::1'],
    ['an absolute target', 'http://[::1/graphql', 'localhost'],
  ])('%s is no fault', async (_name, target, host) => {
    const body = '{"query":"{ __typename }"}';
    const answer = await raw(
      `POST ${target} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 [24]/);
    expect(answer).not.toContain('node_modules');
  });
});

describe('SSE', () => {
  const subscribe = (query: string, signal?: AbortSignal) =>
    fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query }),
      ...(signal && { signal }),
    });

  test('streams a subscription to its end', async () => {
    const text = await (await subscribe('subscription { countTo(last: 3) }')).text();
    expect([...text.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => JSON.parse(data as string).data.countTo)).toEqual([
      1, 2, 3,
    ]);
    expect(text).toContain('event: complete');
  });

  // A busy machine can miss the limit by itself.
  test('stops the source within 100 ms when the client leaves, while it waits for its next event', {
    retry: 3,
  }, async () => {
    const controller = new AbortController();
    const response = await subscribe('subscription { silence }', controller.signal);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let events = '';
    while (!events.includes('silence')) events += Buffer.from((await reader.read()).value ?? []).toString();
    const leftAt = performance.now();
    controller.abort();
    expect((await stoppedAt) - leftAt).toBeLessThan(100);
  });

  test('a denied subscription says so in its stream', async () => {
    const text = await (await subscribe('subscription { completion(input: { messages: [] }) { __typename } }')).text();
    expect(text).toContain('UNAUTHENTICATED');
  });
});
