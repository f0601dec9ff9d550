import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestServer } from '../kit/server.ts';
import {
  expectCivil,
  expectClean,
  expectRefused,
  expectServing,
  expectUnharmed,
  sendRaw,
  startTarget,
  watchFaults,
} from './kit.ts';

let server: TestServer;
const watch = watchFaults();
beforeAll(async () => {
  server = await startTarget();
});
afterAll(async () => {
  await server.close();
  watch.stop();
});

const MESSAGES = '"messages":[{"role":"user","content":"Hi"}]';

function head(method: string, path: string, headers: Record<string, string | string[]> = {}): string {
  const lines = Object.entries({ host: 'a', ...headers }).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}\r\n`),
  );
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

async function chat(body: string | Buffer, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json', ...headers },
    body: Buffer.from(body),
  });
  return { status: response.status, body: await response.text() };
}

describe('POST /v1/chat/completions refuses with a code', () => {
  const deep = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
  it.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['half a body', '{"messages":[{"role":"us'],
    ['a list', '[]'],
    ['a number', '1e999'],
    ['null', 'null'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
    ['UTF-16', Buffer.from(`{${MESSAGES}}`, 'utf16le')],
    ['an overlong NUL', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0x80]), Buffer.from('"}')])],
    ['a byte order mark', `\ufeff{${MESSAGES}}`],
    ['brackets 100,000 deep', deep('[', ']', 100_000)],
    ['messages 100,000 deep', `{"messages":${deep('[', ']', 100_000)}}`],
    ['no messages', '{"model":"default"}'],
    ['messages that are an object', '{"messages":{"length":1,"0":{}}}'],
    ['messages that are numbers', '{"messages":[1]}'],
    ['a model that is a list', `{"model":["default"],${MESSAGES}}`],
    ['a model of a megabyte', `{"model":"${'x'.repeat(1e6)}",${MESSAGES}}`],
    ['a model of NULs', `{"model":"\\u0000\\u0000",${MESSAGES}}`],
    ['a model of half a surrogate pair', `{"model":"\\ud800",${MESSAGES}}`],
    ['a model named __proto__', `{"model":"__proto__",${MESSAGES}}`],
    ['a model named constructor/x', `{"model":"constructor/x",${MESSAGES}}`],
    ['a stream that is a text', `{"stream":"yes",${MESSAGES}}`],
    ['stream_options that are a list', `{"stream":true,"stream_options":[],${MESSAGES}}`],
    ['a negative n', `{"n":-1,${MESSAGES}}`],
    ['a huge n', `{"n":1e999,${MESSAGES}}`],
    ['a max_tokens beyond 2³¹', `{"max_tokens":9007199254740993,${MESSAGES}}`],
    ['a max_tokens of 1.5', `{"max_tokens":1.5,${MESSAGES}}`],
    ['an unknown role', '{"messages":[{"role":"constructor","content":"Hi"}]}'],
    ['content that is a number', '{"messages":[{"role":"user","content":9007199254740993}]}'],
    ['a tool without a name', `{"tools":[{"type":"function","function":{}}],${MESSAGES}}`],
  ])('%s', async (what, body) => {
    expectRefused(await chat(body), what);
  });

  it('another content type, and a compressed body', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonx',
      'a',
      ';',
      'application/json;;;=',
    ]) {
      const answer = await chat('not JSON', { 'content-type': type });
      expectRefused(answer, type);
    }
    const zipped = gzipSync(`{${MESSAGES}}`);
    for (const encoding of ['gzip', 'br', 'nonsense', 'identity, gzip']) {
      expectRefused(await chat(zipped, { 'content-encoding': encoding }), encoding);
    }
  });

  it('a body above the limit, announced or not', async () => {
    const size = server.services.settings.bodyLimitBytes + 1;
    const authorization = `Bearer ${server.apiKey}`;
    const announced = head('POST', '/v1/chat/completions', {
      authorization,
      'content-type': 'application/json',
      'content-length': String(size),
    });
    const [answer] = await sendRaw(server.url, announced);
    expect(answer?.status).toBe(413);
    expect(answer?.body).toContain('payload_too_large');
    for (const path of ['/v1/chat/completions', '/graphql']) {
      const big = await fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: new Blob([Buffer.alloc(size, 'x')]).stream(),
        duplex: 'half',
      } as RequestInit);
      expect(big.status).toBe(413);
      expect((await big.text()).toUpperCase()).toContain('PAYLOAD_TOO_LARGE');
    }
  });
});

describe('POST /v1/chat/completions puts into the words of another dialect', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const parts = Array.from({ length: 300_000 }, () => '"a"').join();
  const image = `{"type":"image_url","image_url":{"url":"data:a/b${';'.repeat(4_000_000)}"}}`;
  const bodies: [string, string][] = [
    [
      'a tool that is 20,000 deep',
      `"tools":[{"type":"function","function":{"name":"f","parameters":{"a":${deep}}}}],${MESSAGES}`,
    ],
    ['300,000 parts', `"messages":[{"role":"user","content":"a"},{"role":"user","content":[${parts}]}]`],
    ['an image without an end', `"messages":[{"role":"user","content":[${image}]}]`],
    ['controls that are no values', `"sandbox":{"a":{"toString":1,"valueOf":1}},${MESSAGES}`],
  ];
  describe.each(['sandbox-anthropic', 'sandbox-gemini'])('of %s', (provider) => {
    it.each(bodies)('%s, or refuses it', async (what, members) => {
      const answer = await chat(`{"model":"${provider}/sandbox-small",${members}}`);
      expectCivil(answer, what);
      expect(answer.status, answer.body.slice(0, 400)).toBeLessThan(500);
    });

    it('half a character in the name of a model', async () => {
      expectCivil(await chat(`{"model":"${provider}/\\ud800",${MESSAGES}}`), 'half a character');
    });
  });
});

describe('POST /v1/chat/completions survives', () => {
  it.each<[string, string]>([
    [
      'members named like those of every object',
      `{${MESSAGES},"__proto__":{"stream":true},"constructor":{"prototype":{}},"toString":1}`,
    ],
    ['100,000 members', `{${MESSAGES},${Array.from({ length: 100_000 }, (_, at) => `"k${at}":${at}`).join()}}`],
    ['an extra 100,000 deep', `{${MESSAGES},"extra":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['the same member a thousand times', `{${'"model":"default",'.repeat(1_000)}${MESSAGES}}`],
    [
      'names and values full of escapes',
      `{"\\u006dodel":"\\u0064efault","\\"\\\\\\u0000":"\\ud800\\u0000\\\\",${MESSAGES}}`,
    ],
    ['content of lone surrogates and NULs', '{"messages":[{"role":"user","content":"\\udfff\\u0000\\ud800"}]}'],
    ['numbers no double holds', `{"seed":9007199254740993,"temperature":1e-999,"x":1e999,${MESSAGES}}`],
    ['white space everywhere', `  {\t"messages"\n:\r[ { "role" : "user" , "content":"Hi" } ]\n}  `],
  ])('%s', async (what, body) => {
    expectCivil(await chat(body), what);
    expectCivil(await chat(body.replace('{', '{"stream":true,')), what);
  });

  it('any JSON in the place of any member', async () => {
    const name = fc.constantFrom(
      'model',
      'messages',
      'stream',
      'stream_options',
      'n',
      'max_tokens',
      'max_completion_tokens',
      'tools',
      'tool_choice',
      'response_format',
      'stop',
      'sandbox',
      'user',
      'logprobs',
      '__proto__',
      'hasOwnProperty',
    );
    // What the sandbox does on request takes its time: a wait of minutes is no fault.
    const value = fc.jsonValue({ maxDepth: 4 }).filter((json) => !/latencyMs|firstTokenMs/.test(JSON.stringify(json)));
    await fc.assert(
      fc.asyncProperty(name, value, async (member, json) => {
        const text = JSON.stringify(json);
        const body = member === 'messages' ? `{"messages":${text}}` : `{${JSON.stringify(member)}:${text},${MESSAGES}}`;
        expectCivil(await chat(body), body);
      }),
      { numRuns: 150 },
    );
  });

  it('any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        expectRefused(await chat(Buffer.from(bytes)), Buffer.from(bytes).toString('latin1'));
      }),
      { numRuns: 100 },
    );
  });
});

describe('headers', () => {
  it('may hold any credential: it is refused, and not looked at for long', async () => {
    const wrong = [
      'Bearer',
      'Bearer ',
      'Bearer  ',
      'Basic YTpi',
      'bearer sbx_',
      'Bearer sbx_\x80\xff',
      `Bearer sbx_${'a'.repeat(5_000)}`,
      `Bearer ${'a'.repeat(12_000)}`,
      'Bearer sbx_aaa bbb',
      'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.',
      'Bearer e30.e30.e30',
      'Bearer ..',
      `Bearer ${server.admin}x`,
      `Bearer ${server.admin.split('.').slice(0, 2).join('.')}.`,
      "Bearer ' OR 1=1 --",
      'Negotiate \t',
    ];
    for (const authorization of wrong) {
      for (const [method, path] of [
        ['GET', '/v1/models'],
        ['GET', '/metrics'],
        ['GET', '/graphql?query={me{id}}'],
      ] as const) {
        const [answer] = await sendRaw(server.url, Buffer.from(head(method, path, { authorization }), 'latin1'));
        expectRefused(answer ?? { status: 0, body: '' }, [path, authorization]);
        expect([400, 401, 429]).toContain(answer?.status);
      }
    }
    await expectServing(server);
  });

  it('may hold any tags', async () => {
    for (const tags of [
      '=',
      '=,=',
      ',,,,',
      `${'a'.repeat(300)}=b`,
      `a=${'b'.repeat(300)}`,
      '__proto__=x,constructor=y',
      'a=\xff\x80',
      Array.from({ length: 50 }, (_, at) => `t${at}=1`).join(),
    ]) {
      const request = head('POST', '/v1/chat/completions', {
        authorization: `Bearer ${server.apiKey}`,
        'content-type': 'application/json',
        'content-length': String(MESSAGES.length + 2),
        'x-signalbox-tags': tags,
      });
      const [answer] = await sendRaw(server.url, Buffer.from(`${request}{${MESSAGES}}`, 'latin1'));
      expectCivil(answer ?? { status: 0, body: '' }, tags);
    }
  });

  it.each<[string, string]>([
    ['two lengths', head('POST', '/v1/chat/completions', { 'content-length': ['5', '6'] })],
    [
      'a length beside chunks',
      `${head('POST', '/v1/chat/completions', { 'content-length': '5', 'transfer-encoding': 'chunked' })}0\r\n\r\n`,
    ],
    ['a length that is a text', head('POST', '/graphql', { 'content-length': 'ten' })],
    ['a negative length', head('POST', '/graphql', { 'content-length': '-1' })],
    ['a length beyond 2⁶⁴', head('POST', '/graphql', { 'content-length': '99999999999999999999999' })],
    ['an unknown transfer coding', head('POST', '/graphql', { 'transfer-encoding': 'xchunked' })],
    ['a coding behind chunked', head('POST', '/graphql', { 'transfer-encoding': 'chunked, identity' })],
    [
      'chunks that are garbage',
      `${head('POST', '/v1/chat/completions', { 'transfer-encoding': 'chunked' })}zz\r\nhello\r\n`,
    ],
    ['a folded header', 'GET /ping HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n : \r\n\r\n'],
    ['a space before the colon', 'GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization : x\r\n\r\n'],
    ['a NUL in a header', 'GET /v1/models HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n'],
    ['no host', 'GET /v1/models HTTP/1.1\r\n\r\n'],
    ['two hosts', 'GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n'],
    ['100 KB of headers', head('GET', '/v1/models', { x: 'y'.repeat(100_000) })],
    [
      '10,000 headers',
      head('GET', '/v1/models', Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`x${at}`, '1']))),
    ],
    ['a method nobody knows', 'FROBNICATE / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['HTTP/9.9', 'GET / HTTP/9.9\r\nhost: a\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['an unknown expectation', head('POST', '/v1/chat/completions', { expect: 'a miracle', 'content-length': '2' })],
  ])('with %s are refused', async (what, bytes) => {
    const [answer] = await sendRaw(server.url, Buffer.from(bytes, 'latin1'));
    expectRefused(answer ?? { status: 0, body: 'no answer' }, what);
  });

  it('that smuggle a second request behind the first do not get it answered', async () => {
    const smuggled = 'GET /ping HTTP/1.1\r\nhost: a\r\n\r\n';
    const body = `0\r\n\r\n${smuggled}`;
    const answers = await sendRaw(
      server.url,
      `POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\ntransfer-encoding: chunked\r\n\r\n${body}`,
    );
    expect(answers.map(({ status }) => status)).toEqual([400]);
  });

  it('that expect 100-continue get it, and the answer', async () => {
    const body = `{${MESSAGES}}`;
    const request = head('POST', '/v1/chat/completions', {
      authorization: `Bearer ${server.apiKey}`,
      'content-type': 'application/json',
      'content-length': String(body.length),
      expect: '100-continue',
    });
    const answers = await sendRaw(server.url, request + body);
    expect(answers.map(({ status }) => status)).toEqual([100, 200]);
  });

  it('that offer HTTP/2 do not get in the way of a request', async () => {
    const body = `{${MESSAGES}}`;
    const request = head('POST', '/v1/chat/completions', {
      authorization: `Bearer ${server.apiKey}`,
      'content-type': 'application/json',
      'content-length': String(body.length),
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
    });
    const [answer] = await sendRaw(server.url, request + body);
    expect(answer?.status).toBe(200);
  });
});

describe('addresses', () => {
  const PATHS = [
    '/v1/models/%00',
    '/v1/models/%ff',
    '/v1/models/%',
    '/v1/models/%E0%A4%A',
    '/v1/models/../../etc/passwd',
    '/v1/models/__proto__',
    '/v1/models/constructor',
    `/v1/models/${'x'.repeat(10_000)}`,
    '/v1/models/',
    '/v1',
    '/v1/',
    '/v1/embeddings',
    '//',
    '/%2e%2e/',
    '/graphql/',
    '/graphqlx',
    '/health/../metrics',
    '/ping%00',
    '/',
    '*',
    'http://a/v1/models/none',
    '/v1/chat/completions?x[]=1&__proto__[a]=b',
  ];

  it('that lead nowhere are told so', async () => {
    for (const path of PATHS) {
      const [answer] = await sendRaw(server.url, head('GET', path, { authorization: `Bearer ${server.apiKey}x` }));
      expectRefused(answer ?? { status: 0, body: 'no answer' }, path);
      const known = await sendRaw(server.url, head('GET', path, { authorization: `Bearer ${server.apiKey}` }));
      expectCivil(known[0] ?? { status: 0, body: 'no answer' }, path);
      expect(known).toHaveLength(1);
    }
  });

  it('are there for their own methods only', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE', 'OPTIONS', 'PROPFIND', 'LINK', 'M-SEARCH', 'HEAD']) {
      for (const path of ['/v1/chat/completions', '/v1/models', '/graphql', '/health', '/metrics', '/nothing']) {
        const [answer] = await sendRaw(server.url, head(method, path, { authorization: `Bearer ${server.apiKey}` }));
        // HEAD is answered like GET, without its body.
        if (method === 'HEAD') expect(answer?.status ?? 0).toBeLessThan(500);
        else expectRefused(answer ?? { status: 0, body: 'no answer' }, [method, path]);
      }
    }
  });

  it('may hold any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 0, maxLength: 60 }),
        fc.constantFrom('/v1/models/', '/graphql?query=', '/health?', '/'),
        async (bytes, path) => {
          const request = Buffer.concat([
            Buffer.from(`GET ${path}`),
            Buffer.from(bytes),
            Buffer.from(` HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer ${server.apiKey}\r\n\r\n`),
          ]);
          for (const answer of await sendRaw(server.url, request)) expectCivil(answer, request.toString('latin1'));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('of health and metrics tell nothing of the inside', async () => {
    const health = await fetch(`${server.url}/health?x=${'y'.repeat(2_000)}`);
    expect(health.status).toBe(200);
    expectClean(await health.text(), 'health');
    const metrics = await fetch(`${server.url}/metrics`);
    expect(metrics.status).toBe(401);
  });
});

it('after all of this the server is unharmed', async () => {
  await expectUnharmed(server, watch);
});
