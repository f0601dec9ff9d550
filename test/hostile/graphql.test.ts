import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestServer } from '../kit/server.ts';
import { targets } from './graphql-fields.ts';
import { codesIn, expectCivil, expectRefused, expectUnharmed, readAnswer, startTarget, watchFaults } from './kit.ts';

let server: TestServer;
const watch = watchFaults();
beforeAll(async () => {
  server = await startTarget();
});
afterAll(async () => {
  await server.close();
  watch.stop();
});

/** As JSON texts: some of them are nothing that JavaScript could write. */
const WRONG = [
  'null',
  'true',
  '0',
  '-1',
  '2147483648',
  '-2147483649',
  '9007199254740993',
  '1e999',
  '-1e999',
  '1.5',
  '1e-400',
  '""',
  '" "',
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"a\\udfff\\ud800b"',
  '"\\u202e\\ufeff\\uffff"',
  '"\\ud83d\\ude00"',
  `"'; DROP TABLE users; --"`,
  '"../../../etc/passwd"',
  '"%00%ff"',
  '"{{7*7}}"',
  '"\\\\%_"',
  '"00000000-0000-0000-0000-000000000000"',
  '"ffffffff-ffff-ffff-ffff-ffffffffffff"',
  '"0197a3f0-0000-7000-8000-00000000000"',
  '"0000-01-01T00:00:00Z"',
  '"9999-12-31T23:59:59.999999999-23:59"',
  '"2026-02-30T00:00:00Z"',
  '"2026-13-45T99:99:99Z"',
  '"275760-09-13T00:00:00Z"',
  '"2026-11-20"',
  `"${Buffer.from('id:00000000-0000-0000-0000-000000000000').toString('base64')}"`,
  `"${Buffer.from("id:' OR 1=1").toString('base64')}"`,
  '"===="',
  '"999999999999999999999999999999999999.999999999999"',
  '"-0"',
  '"1e5"',
  '"NaN"',
  '[]',
  '[[]]',
  '[null]',
  '[{}]',
  '{}',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{}}}',
  '{"a\\u0000b":"\\ud800"}',
  '{"toString":null,"toJSON":1,"length":-1}',
  '{"max_tokens":1e999,"sandbox":[]}',
  `${'['.repeat(1_000)}${']'.repeat(1_000)}`,
] as const;

/** For subscriptions, which take longer. */
const A_FEW = WRONG.filter((_, at) => at % 8 === 0);

/** Longer than any refusal takes. */
const LISTEN_MS = 150;

async function post(body: string, credential = server.admin) {
  const leave = new AbortController();
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${credential}`,
      accept: 'application/json, text/event-stream;q=0.5',
    },
    body,
    signal: leave.signal,
  });
  return { status: response.status, body: await readAnswer(response, leave, LISTEN_MS) };
}

async function version(): Promise<number> {
  const row = await server.services.prisma.provider.findUniqueOrThrow({ where: { slug: 'cohere' } });
  return row.version;
}

const MARK = 'here goes something wrong';
function requests(target: ReturnType<typeof targets>[number], texts: readonly string[]): string[] {
  return target.paths.flatMap((path) => {
    const body = JSON.stringify({ query: target.document, variables: target.with(path, MARK) });
    return texts.map((text) => body.replace(JSON.stringify(MARK), () => text));
  });
}

/** A few at once, as clients do. */
async function each<T>(items: readonly T[], lanes: number, run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const item of queue) await run(item);
    }),
  );
}

describe('every field of every input', () => {
  const all = targets();
  it('is known here', () => {
    expect(all.flatMap(({ paths }) => paths).length).toBeGreaterThan(100);
  });

  it.each(all.map((target) => [target.field, target] as const))(
    'of %s takes any value without a fault',
    async (_field, target) => {
      // An update must name the version that is there now.
      const isUpdate = target.field === 'updateProvider';
      await each(
        requests(target, target.document.startsWith('subscription') ? A_FEW : WRONG),
        isUpdate ? 1 : 4,
        async (body) => {
          const sent = isUpdate ? body.replace('"version":1', `"version":${await version()}`) : body;
          expectCivil(await post(sent), sent);
        },
      );
    },
    120_000,
  );

  it.each(all.map((target) => [target.field, target] as const))(
    'of %s takes a megabyte',
    async (_field, target) => {
      await each(requests(target, [`"${'x'.repeat(1e6)}"`]), 4, async (body) => {
        const answer = await post(body);
        expectCivil(answer, body);
        expect(answer.body.length).toBeLessThan(20_000);
      });
    },
    60_000,
  );
});

describe('documents', () => {
  const deep = (depth: number) => `{ requests { ${'nodes { attempts { '.repeat(depth)} id ${'} }'.repeat(depth)} } }`;
  it.each<[string, string]>([
    ['no document', ''],
    ['garbage', '{{{{'],
    ['an unknown field', '{ nothing }'],
    ['10,000 aliases', `{ ${Array.from({ length: 10_000 }, (_, at) => `a${at}: __typename`).join(' ')} }`],
    [
      '200 aliases of a list',
      `{ ${Array.from({ length: 200 }, (_, at) => `a${at}: requests { totalCount }`).join(' ')} }`,
    ],
    ['the same field 100,000 times', `{ ${'__typename '.repeat(100_000)} }`],
    ['a depth of 1,000', deep(500)],
    ['a depth of 100,000', '{a'.repeat(100_000)],
    ['lists 4,000 deep', `{ request(id: ${'['.repeat(4_000)}) { id } }`],
    ...[50, 200, 500, 900].flatMap((depth): [string, string][] => [
      [`lists ${depth} deep`, `{ request(id: ${'['.repeat(depth)}1${']'.repeat(depth)}) { id } }`],
      [
        `objects ${depth} deep`,
        `{ requests(filter: ${'{search:'.repeat(depth)}1${'}'.repeat(depth)}) { totalCount } }`,
      ],
      [`types ${depth} deep`, `query($a: ${'['.repeat(depth)}ID${']'.repeat(depth)}) { request(id: $a) { id } }`],
      [`fields ${depth} deep`, `${'{ requests '.repeat(depth)}{ totalCount ${'}'.repeat(depth + 1)}`],
      [`fragments ${depth} deep`, `{ ${'... { '.repeat(depth)}nothing ${'}'.repeat(depth + 1)}`],
    ]),
    [
      'introspection without end',
      `{ __schema { types { ${'fields { type { '.repeat(20)} name ${'} }'.repeat(20)} } } }`,
    ],
    ['a fragment in itself', 'query { ...A } fragment A on Query { ...A }'],
    [
      'fragments in a circle',
      'query { ...A } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }',
    ],
    [
      'fragments that double',
      `query { ...F0 } ${Array.from({ length: 30 }, (_, at) => `fragment F${at} on Query { ...F${at + 1} ...F${at + 1} }`).join(' ')} fragment F30 on Query { requests(first: 100) { nodes { attempts { number } } } }`,
    ],
    [
      'a thousand fragments',
      `query { __typename } ${Array.from({ length: 1_000 }, (_, at) => `fragment F${at} on Query { __typename }`).join(' ')}`,
    ],
    ['a thousand directives', `{ __typename ${'@include(if: true) '.repeat(1_000)} }`],
    ['directives that are not there', '{ me @defer @stream @nothing(x: 1) { id } }'],
    ['a NUL', '{ me\u0000 { id } }'],
    ['half a surrogate pair', '{ me \ud800 { id } }'],
    ['an unpaired escape', '{ request(id: "\\ud800") { id nothing } }'],
    ['a literal Int out of range', '{ requests(first: 99999999999999999999) { totalCount } }'],
    ['pages of 100 that multiply', '{ apiKeys(first: 101) { nodes { id } } }'],
    ['a page of minus one', '{ apiKeys(first: -1) { nodes { id } } }'],
    ['two operations and no name', 'query A { __typename } query B { __typename }'],
    ['a megabyte of comments and a brace', `${'#\n'.repeat(500_000)}{`],
  ])('with %s are refused, and no server is held up', async (what, query) => {
    const started = performance.now();
    const body = JSON.stringify({ query });
    const answer = await post(body);
    expectCivil(answer, what);
    expect(codesIn(answer.body).length).toBeGreaterThan(0);
    expect(performance.now() - started).toBeLessThan(3_000);
    const url = `${server.url}/graphql?query=${encodeURIComponent(query.replace(/\p{Cs}/gu, '?'))}`;
    if (url.length < 15_000) {
      const byGet = await fetch(url, { headers: { authorization: `Bearer ${server.admin}` } });
      expectCivil({ status: byGet.status, body: await byGet.text() }, what);
    }
  });
});

describe('requests over HTTP', () => {
  it.each<[string, string]>([
    ['a list', '[{"query":"{ me { id } }"}]'],
    ['an empty object', '{}'],
    ['a query that is a number', '{"query":1}'],
    ['a query that is an object', '{"query":{"a":1}}'],
    ['variables that are a list', '{"query":"{ __typename }","variables":[]}'],
    ['variables that are a text', '{"query":"{ __typename }","variables":"{}"}'],
    ['an operation name that is a number', '{"query":"{ __typename }","operationName":1}'],
    ['an operation that is not there', '{"query":"query A { __typename }","operationName":"__proto__"}'],
    ['extensions that are a text', '{"query":"{ __typename }","extensions":"x"}'],
    ['brackets 100,000 deep', `{"query":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['half a body', '{"query":"{ me'],
  ])('with %s are refused', async (what, body) => {
    expectRefused(await post(body), what);
  });

  it.each<[string, string]>([
    [
      '100,000 variables',
      `{"query":"{ __typename }","variables":{${Array.from({ length: 100_000 }, (_, at) => `"v${at}":1`).join()}}}`,
    ],
    [
      'variables 100,000 deep',
      `{"query":"{ __typename }","variables":{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    ],
    [
      'variables named __proto__',
      '{"query":"query($__proto__: ID!) { request(id: $__proto__) { id } }","variables":{"__proto__":"x"}}',
    ],
    ['a persisted query', '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}'],
    ['members of every object', '{"query":"{ __typename }","__proto__":{},"constructor":1,"toString":null}'],
  ])('with %s do no harm', async (what, body) => {
    expectCivil(await post(body), what);
  });

  it('by GET refuse what is malformed, and change nothing', async () => {
    const query = encodeURIComponent('mutation { revokeApiKey(id: "x") { __typename } }');
    for (const search of [
      '',
      '?',
      '?query',
      '?query=',
      '?query=%ff',
      '?query=%',
      `?query=${query}`,
      '?query={__typename}&variables=x',
      '?query={__typename}&variables=[]',
      '?query={__typename}&extensions=%00',
      '?query={__typename}&query={me{id}}&variables=1',
      '?variables={}',
      '?__proto__=1&constructor=2',
    ]) {
      const response = await fetch(`${server.url}/graphql${search}`, {
        headers: { authorization: `Bearer ${server.admin}` },
      });
      expectCivil({ status: response.status, body: await response.text() }, search);
      if (search.includes('mutation')) expect(response.status).toBe(405);
    }
  });

  it('as a subscription over SSE end with a typed failure', async () => {
    for (const messages of [
      '[]',
      '[{"role":"USER"}]',
      '[{"role":"USER","content":"\\u0000"}]',
      '[{"role":"NOBODY","content":""}]',
      'null',
      '1e999',
    ]) {
      const response = await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'text/event-stream',
          authorization: `Bearer ${server.apiKey}`,
        },
        body: `{"query":"subscription($m: [MessageInput!]!) { completion(input: { messages: $m }) { __typename ... on CompletionFailed { error { code message } } } }","variables":{"m":${messages}}}`,
      });
      expectCivil({ status: response.status, body: await response.text() }, messages);
    }
  });

  it('may hold any document and any variables', async () => {
    const words = fc.constantFrom(
      'query',
      'mutation',
      'subscription',
      'fragment',
      'on',
      '{',
      '}',
      '(',
      ')',
      '$a',
      ':',
      '"',
      '"""',
      '...',
      '@include',
      '[',
      ']',
      '!',
      '=',
      'me',
      'requests',
      'completion',
      '\u0000',
      '#',
      '&',
      '|',
      '1e9',
      '-',
      '__schema',
      'input',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(words, { maxLength: 40 }), fc.jsonValue({ maxDepth: 3 }), async (parts, variables) => {
        const body = JSON.stringify({ query: parts.join(' '), variables });
        expectCivil(await post(body), body);
      }),
      { numRuns: 200 },
    );
  });
});

it('after all of this the server is unharmed', async () => {
  // Some of the values were slugs of providers that others of them had made.
  await server.query('mutation { activateProvider(id: "sandbox") { __typename } }');
  // And others were what a route may well be told, such as to leave out what costs too little.
  const plain = { id: 'default', allowsPowerLevel: false, preferredRegions: [], fallbacks: [], maxRetries: 3 };
  await server.query('mutation ($input: UpdateRouteInput!) { updateRoute(input: $input) { __typename } }', {
    input: plain,
  });
  await expectUnharmed(server, watch);
});
