import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from '../kit/eventually.ts';
import type { TestServer } from '../kit/server.ts';
import { codesIn, expectClean, expectUnharmed, openSocket, startTarget, watchFaults } from './kit.ts';

let server: TestServer;
const watch = watchFaults();
beforeAll(async () => {
  server = await startTarget();
});
afterAll(async () => {
  await server.close();
  watch.stop();
});

const SLOW = {
  query:
    'subscription($input: CompletionInput!) { completion(input: $input) { __typename ... on CompletionFailed { error { code message } } } }',
  variables: { input: { messages: [{ role: 'USER', content: 'Hi' }], extra: { sandbox: { latencyMs: 600_000 } } } },
};

interface Conversation {
  /** Texts that the server sent. */
  said: string[];
  /** The code it closed with; null: it is still open. */
  closed: number | null;
  reason: string;
}

/** Opens a socket, says what `lines` hold, and listens until the server closes or was quiet for `quietMs`. */
async function talk(
  lines: readonly (string | Buffer)[],
  quietMs = 400,
  protocol = 'graphql-transport-ws',
): Promise<Conversation> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, protocol, { perMessageDeflate: false });
  const talked: Conversation = { said: [], closed: null, reason: '' };
  await new Promise<void>((resolve, reject) => {
    let quiet = setTimeout(resolve, 10_000);
    const wait = () => {
      clearTimeout(quiet);
      quiet = setTimeout(resolve, quietMs);
    };
    socket.on('error', reject);
    // Whoever introduces itself waits for the answer to that before it goes on.
    const [first, ...others] = lines;
    const isPolite = String(first).includes('"connection_init"') && others.length > 0;
    socket.on('open', () => {
      for (const line of isPolite ? [first ?? ''] : lines) socket.send(line);
      wait();
    });
    socket.on('message', (data) => {
      talked.said.push(String(data));
      if (isPolite && talked.said.length === 1) for (const line of others) socket.send(line);
      wait();
    });
    socket.on('close', (code, reason) => {
      talked.closed = code;
      talked.reason = String(reason);
      clearTimeout(quiet);
      resolve();
    });
  });
  socket.terminate();
  for (const text of [...talked.said, talked.reason]) expectClean(text, lines);
  expect(codesIn(talked.said.join())).not.toContain('INTERNAL');
  return talked;
}

const INIT = () => JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.apiKey}` } });
const subscribe = (id: string, payload: unknown) => JSON.stringify({ id, type: 'subscribe', payload });

describe('a WebSocket', () => {
  it.each<[string, number, (string | Buffer)[]]>([
    ['text that is not JSON', 4400, ['{']],
    ['an empty text', 4400, ['']],
    ['binary garbage', 4400, [Buffer.from([0, 255, 254])]],
    ['a number', 4400, ['1']],
    ['null', 4400, ['null']],
    ['a list', 4400, ['[]']],
    ['an unknown type', 4400, ['{"type":"start"}']],
    ['a type of every object', 4400, ['{"type":"__proto__"}']],
    ['brackets 100,000 deep', 4400, [`${'['.repeat(100_000)}${']'.repeat(100_000)}`]],
    ['an init whose payload is a list', 4400, ['{"type":"connection_init","payload":[]}']],
    ['a subscription before the init', 4401, [subscribe('1', { query: '{ __typename }' })]],
    ['more than 4 MiB', 1009, ['x'.repeat(4 * 1024 * 1024 + 1)]],
    ['a wrong key', 4403, ['{"type":"connection_init","payload":{"authorization":"Bearer sbx_wrong"}}']],
    [
      'a key of a megabyte',
      4403,
      [`{"type":"connection_init","payload":{"authorization":"Bearer ${'x'.repeat(1e6)}"}}`],
    ],
  ])('that sends %s is closed with the right code', async (_what, code, lines) => {
    expect(await talk(lines)).toMatchObject({ closed: code });
  });

  it('without a credential that is a text is anonymous, and may not see anything', async () => {
    for (const authorization of ['1', 'null', '[]', '{"toString":1}']) {
      const talked = await talk([
        `{"type":"connection_init","payload":{"authorization":${authorization}}}`,
        subscribe('1', { query: '{ providers { id } }' }),
      ]);
      expect([authorization, codesIn(talked.said.join()), talked.closed]).toEqual([
        authorization,
        ['UNAUTHENTICATED'],
        null,
      ]);
    }
  });

  it('that starts an operation under the same id twice, or introduces itself twice, is closed', async () => {
    for (const id of ['1', 'x'.repeat(10_000), '__proto__', '\u0000', '\ud800']) {
      const talked = await talk([INIT(), subscribe(id, SLOW), subscribe(id, SLOW)]);
      expect([id, talked]).toMatchObject([id, { closed: 4409 }]);
    }
    expect((await talk([INIT(), INIT()])).closed).toBe(4429);
  });

  it.each<[string, string]>([
    ['no query', '{}'],
    ['a query that is a number', '{"query":1}'],
    ['variables that are a list', '{"query":"{ __typename }","variables":[]}'],
    ['an operation name that is an object', '{"query":"{ __typename }","operationName":{}}'],
    ['no payload', 'null'],
  ])('closes on a subscription with %s', async (_what, payload) => {
    expect((await talk([INIT(), `{"id":"1","type":"subscribe","payload":${payload}}`])).closed).toBe(4400);
  });

  it.each<[string, string]>([
    ['a broken document', '{"query":"{{{"}'],
    ['an unknown field', '{"query":"{ nothing }"}'],
    ['a document nested too deeply', JSON.stringify({ query: `{ request(id: ${'['.repeat(1_500)} ) { id } }` })],
    [
      '10,000 aliases',
      JSON.stringify({ query: `{ ${Array.from({ length: 10_000 }, (_, at) => `a${at}: __typename`).join(' ')} }` }),
    ],
    ['fragments in a circle', '{"query":"{ ...A } fragment A on Query { ...A }"}'],
    ['an operation that is not there', '{"query":"query A { __typename }","operationName":"B"}'],
    ['wrong variables', '{"query":"query($a: ID!) { request(id: $a) { id } }","variables":{"a":[]}}'],
    [
      'variables that are NULs',
      '{"query":"query($a: RequestFilter) { requests(filter: $a, first: 0) { totalCount } }","variables":{"a":{"search":"\\u0000"}}}',
    ],
  ])('goes on after an operation with %s', async (_what, payload) => {
    const talked = await talk(
      [INIT(), `{"id":"1","type":"subscribe","payload":${payload}}`, subscribe('2', { query: '{ me { email } }' })],
      400,
    );
    expect(talked.closed).toBeNull();
    const byId = (id: string) => talked.said.filter((text) => JSON.parse(text).id === id).join();
    expect(codesIn(byId('1'))[0]).toBe('VALIDATION');
    expect(byId('2')).toContain('"data":{"me":{"email"');
  });

  it('passes over what ends operations that are not there', async () => {
    const talked = await talk([
      INIT(),
      '{"id":"1","type":"complete"}',
      '{"id":"__proto__","type":"complete"}',
      '{"type":"pong","payload":{"a":1}}',
      '{"type":"ping"}',
    ]);
    expect(talked.closed).toBeNull();
    expect(talked.said.map((text) => JSON.parse(text).type)).toEqual(['connection_ack', 'pong']);
  });

  it('survives any messages', async () => {
    const message = fc.record(
      {
        id: fc.constantFrom('1', 1, null, ''),
        type: fc.constantFrom('subscribe', 'complete', 'ping', 'next', 'error', 'connection_init'),
        payload: fc.jsonValue({ maxDepth: 2 }),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 5 }), async (messages) => {
        await talk([INIT(), ...messages.map((one) => JSON.stringify(one))], 30);
      }),
      { numRuns: 40 },
    );
  });
});

describe('bytes on a WebSocket', () => {
  async function upgrade(
    headers: Record<string, string> = {},
  ): Promise<{ socket: Socket; status: () => number; received: () => Buffer }> {
    const socket = await openSocket(server.url);
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
    });
    socket.on('error', () => undefined);
    const all = {
      host: new URL(server.url).host,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      'sec-websocket-protocol': 'graphql-transport-ws',
      ...headers,
    };
    socket.write(
      `GET /graphql HTTP/1.1\r\n${Object.entries(all)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n`,
    );
    await eventually(() => expect(received.length).toBeGreaterThan(0));
    return { socket, received: () => received, status: () => Number(received.toString('latin1').split(' ')[1]) };
  }

  it.each<[string, Buffer, number]>([
    ['a frame that is not masked', Buffer.from([0x81, 0x02, 0x7b, 0x7d]), 1002],
    ['invalid UTF-8', Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]), 1007],
    ['an overlong surrogate', Buffer.from([0x81, 0x83, 0, 0, 0, 0, 0xed, 0xa0, 0x80]), 1007],
    ['reserved bits', Buffer.from([0xf1, 0x80, 0, 0, 0, 0]), 1002],
    ['an unknown opcode', Buffer.from([0x83, 0x80, 0, 0, 0, 0]), 1002],
    ['a length of 2⁶³', Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]), 1009],
    ['a close with half a code', Buffer.from([0x88, 0x81, 0, 0, 0, 0, 0x03]), 1002],
    ['a close with invalid UTF-8', Buffer.from([0x88, 0x83, 0, 0, 0, 0, 0x03, 0xe8, 0xff]), 1007],
    ['a continuation of nothing', Buffer.from([0x80, 0x80, 0, 0, 0, 0]), 1002],
  ])('that are %s close it', async (_what, frame, code) => {
    const { socket, received, status } = await upgrade();
    expect(status()).toBe(101);
    const before = received().length;
    socket.write(frame);
    await eventually(() => expect(received().length).toBeGreaterThan(before));
    const answer = received().subarray(before);
    expect(answer[0]).toBe(0x88);
    expect(answer.readUInt16BE(2)).toBe(code);
    socket.destroy();
  });

  it.each<[string, Record<string, string>, number]>([
    ['a foreign origin', { origin: 'https://evil.example' }, 403],
    ['an origin that is no address', { origin: 'null' }, 403],
    ['no version', { 'sec-websocket-version': '' }, 400],
    ['another version', { 'sec-websocket-version': '99' }, 400],
    ['a key that is none', { 'sec-websocket-key': 'x' }, 400],
    ['a protocol header that is garbage', { 'sec-websocket-protocol': ',,,' }, 400],
  ])('do not flow after an upgrade with %s', async (_what, headers, code) => {
    const { socket, status, received } = await upgrade(headers);
    expect(status()).toBe(code);
    expectClean(received().toString('latin1'), headers);
    socket.destroy();
  });

  it('are closed under another protocol', async () => {
    const { socket, received } = await upgrade({ 'sec-websocket-protocol': 'graphql-ws' });
    await eventually(() => expect(received().includes(0x88)).toBe(true));
    expect(received().readUInt16BE(received().lastIndexOf(0x88) + 2)).toBe(4406);
    socket.destroy();
  });
});

it('after all of this the server is unharmed', async () => {
  await expectUnharmed(server, watch);
});
