import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { until } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import {
  type Answer,
  chunk,
  connectProviders,
  events,
  json,
  renewKey,
  startUpstream,
  type Upstream,
  whole,
} from '../kit/upstream.ts';

let server: TestServer;
let first: Upstream;
let second: Upstream;
let answers: { first: Answer; second: Answer };

beforeAll(async () => {
  const limits = { firstTokenTimeoutMs: 400, stallTimeoutMs: 400, headerHoldMs: 200 };
  // The same two fail in one test after the other.
  server = await startServer({ logLevel: 'error', ...limits, circuitProbeMs: 0 });
  first = await startUpstream((response, received) => answers.first(response, received));
  second = await startUpstream((response, received) => answers.second(response, received));
  await connectProviders(server, { first, second });
});

afterAll(async () => {
  await server?.close();
  await first?.close();
  await second?.close();
});

afterEach(async () => {
  // A key that a test let fail would rest in the next one.
  for (const slug of ['first', 'second']) await renewKey(server, slug);
  first.received.length = 0;
  second.received.length = 0;
});

const MESSAGES = [{ role: 'user', content: 'Hello' }];

function post(body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}`, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}

const stream = (over: object = {}) => post({ messages: MESSAGES, stream: true, ...over });

/** The events of a streamed answer, as the client sees them. */
async function read(response: Response): Promise<string[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter(Boolean)
    .map((line) => line.replace(/^data: /, ''));
}

interface Logged {
  id: string;
  status: string;
  cost: string | null;
  errorCode: string | null;
  attempts: {
    number: number;
    provider: string;
    status: string;
    upstreamStatus: number | null;
    cost: string | null;
    usage: Usage;
  }[];
  usage: Usage;
  tags: { name: string; value: string }[];
}
interface Usage {
  inputTokens: number | null;
  outputTokens: number | null;
  isEstimated: boolean;
}

/** What the ledger says of a request, once it is there. */
async function logged(response: Response | string): Promise<Logged> {
  const id = typeof response === 'string' ? response : response.headers.get('x-signalbox-request-id');
  return until(async () => {
    const { data } = await server.query<{ request: Logged | null }, unknown>(
      `query ($id: ID!) { request(id: $id) { id status cost errorCode tags { name value } usage { inputTokens outputTokens isEstimated }
         attempts { number provider status upstreamStatus cost usage { inputTokens outputTokens isEstimated } } } }`,
      { id },
    );
    return data.request;
  }, `request ${id} on the ledger`);
}

describe('what goes to the provider', () => {
  test('is the body byte for byte, but for the model and the wish for usage', async () => {
    answers = { first: json(whole('hi')), second: json(whole('no')) };
    const body =
      '{ "seed": 9007199254740993, "messages":[{"role":"user","content":"\\u00fc"}],\n "model":"default","x":1.0}';
    await post(body);
    expect(first.received[0]?.body).toBe(body.replace('"default"', '"m"'));

    answers.first = events(chunk('hi'), chunk('', 'stop'), '[DONE]');
    await (await stream({ stream_options: { include_obfuscation: false } })).text();
    expect(JSON.parse(first.received[1]?.body ?? '')).toMatchObject({
      model: 'm',
      stream_options: { include_obfuscation: false, include_usage: true },
    });
  });

  test('carries the provider’s own key and nothing of the client’s headers', async () => {
    answers = { first: json(whole('hi')), second: json(whole('no')) };
    await post({ messages: MESSAGES }, { cookie: 'secret=1', 'x-sandbox': 'fault=reset', 'x-custom': '1' });
    const headers = first.received[0]?.headers ?? {};
    expect(headers.authorization).toBe('Bearer key-of-first-1234567890');
    expect(Object.keys(headers).sort()).toEqual(
      ['accept', 'authorization', 'connection', 'content-length', 'content-type', 'host', 'user-agent'].sort(),
    );
  });
});

describe('what comes back', () => {
  test('an answer that is not streamed comes byte for byte, with its facts in the headers', async () => {
    const text =
      '{"id":"x","unknown":{"big":9007199254740993},"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":500}, "model":"m-2026"}';
    answers = { first: json(text), second: json(whole('no')) };
    const response = await post({ messages: MESSAGES }, { 'x-signalbox-tags': 'team=search, env=prod' });
    expect(await response.text()).toBe(text);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-signalbox-provider': 'first',
      'x-signalbox-model': 'm-2026',
      'x-signalbox-route': 'default',
      'x-signalbox-attempts': '1',
      'x-signalbox-input-tokens': '1000',
      'x-signalbox-output-tokens': '500',
      'x-signalbox-cost': '0.002',
    });
    expect(response.headers.get('x-request-id')).toBe(response.headers.get('x-signalbox-request-id'));
    expect(await logged(response)).toMatchObject({
      status: 'SUCCEEDED',
      cost: '0.002',
      tags: [
        { name: 'env', value: 'prod' },
        { name: 'team', value: 'search' },
      ],
      usage: { inputTokens: 1000, outputTokens: 500, isEstimated: false },
    });
  });

  test('a stream keeps every field of every event, and hides the usage from clients that did not ask', async () => {
    const odd = chunk('a', null, { provider_field: { nested: [1, { x: null }] }, big: 1e21 });
    const usage = { ...chunk(''), choices: [], usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 } };
    answers = { first: events(odd, chunk('b', 'stop'), usage, '[DONE]'), second: json(whole('no')) };
    const plain = await stream();
    expect(await read(plain)).toEqual([JSON.stringify(odd), JSON.stringify(chunk('b', 'stop')), '[DONE]']);
    expect((await logged(plain)).usage).toEqual({ inputTokens: 10, outputTokens: 2, isEstimated: false });

    const asked = await read(await stream({ stream_options: { include_usage: true } }));
    expect(asked).toHaveLength(4);
    expect(JSON.parse(asked[2] ?? '')).toMatchObject({ ...usage, signalbox: { cost: '0.000014', provider: 'first' } });
  });

  test('a usage chunk is made for clients that asked where the provider sends none, marked as estimated', async () => {
    answers = { first: events(chunk('hello there'), chunk('', 'stop'), '[DONE]'), second: json(whole('no')) };
    const response = await stream({ stream_options: { include_usage: true } });
    const usage = JSON.parse((await read(response)).at(-2) ?? '');
    expect(usage).toMatchObject({ choices: [], signalbox: { is_estimated: true } });
    expect(usage.usage.completion_tokens).toBe(2);
    expect((await logged(response)).usage.isEstimated).toBe(true);
  });

  test('a model without a price has an unknown cost, not 0', async () => {
    answers = { first: json(whole('hi', { model: 'unlisted' })), second: json(whole('no')) };
    const response = await post({ model: 'first/unlisted', messages: MESSAGES });
    expect(response.headers.get('x-signalbox-cost')).toBeNull();
    expect((await logged(response)).cost).toBeNull();
  });
});

describe('failover before the first byte', () => {
  const good = events(chunk('saved'), chunk('', 'stop'), '[DONE]');
  const cases: [string, Answer][] = [
    ['an HTTP 500', json({ error: { message: 'boom' } }, 500)],
    ['a rejected key', json({ error: { message: 'bad key' } }, 401)],
    ['a rate limit', json({ error: { message: 'slow down' } }, 429, { 'retry-after': '1' })],
    ['a reset before the headers', (response) => response.destroy()],
    ['silence', () => undefined],
    [
      'headers and then no token',
      (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`data: ${JSON.stringify(chunk(''))}\n\n`);
      },
    ],
    ['an error as the first event', events({ error: { message: 'overloaded', code: 529 } })],
    ['a 200 with an error in its body', json({ error: { message: 'no capacity' } })],
    [
      'a 200 with an error in a choice',
      events({ choices: [{ index: 0, delta: {}, error: { code: 429, message: 'x' } }] }),
    ],
    [
      'many megabytes that say nothing',
      events(...Array.from({ length: 6 }, () => ({ x: 'x'.repeat(1e6), choices: [] }))),
    ],
    ['a stream that ends at once', events('[DONE]')],
    ['something that is not a stream', json('<html>')],
  ];

  test.each(cases)('%s: the next provider answers, and the client sees nothing of it', async (_name, bad) => {
    answers = { first: bad, second: good };
    const response = await stream();
    expect(response.status).toBe(200);
    const seen = (await read(response)).filter((event) => !event.startsWith(':'));
    expect(seen).toEqual([JSON.stringify(chunk('saved')), JSON.stringify(chunk('', 'stop')), '[DONE]']);
    const request = await logged(await lastId());
    expect(request.status).toBe('SUCCEEDED');
    expect(request.attempts.map(({ provider, status }) => [provider, status])).toEqual([
      ['first', 'FAILED'],
      ['second', 'SUCCEEDED'],
    ]);
    expect(request.attempts[0]?.cost).toBe('0');
    expect([first.received.length, second.received.length]).toEqual([1, 1]);
  });

  test('a request that is itself at fault is not tried again', async () => {
    answers = { first: json({ error: { message: 'bad temperature', param: 'temperature' } }, 400), second: good };
    const response = await stream();
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'validation', param: 'temperature' } });
    expect(second.received).toHaveLength(0);
  });

  test('when all fail, the last failure is told, with every attempt on the ledger', async () => {
    const down = json({ error: { message: 'also down' } }, 503);
    answers = { first: json({}, 404), second: down };
    const response = await post({ model: 'm', messages: MESSAGES });
    expect(response.status).toBe(503);
    expect(response.headers.get('x-signalbox-attempts')).toBe('4');
    expect(await response.json()).toMatchObject({
      error: { type: 'upstream_error', message: expect.stringContaining('also down') },
    });
    expect(await logged(response)).toMatchObject({
      status: 'FAILED',
      errorCode: 'UPSTREAM',
      cost: '0',
      attempts: [404, 503, 503, 503].map((upstreamStatus) => ({ upstreamStatus })),
    });
  });

  test('a client that waits longer than the header hold gets headers and pings, and still the failover', async () => {
    answers = { first: () => undefined, second: good };
    const startedAt = Date.now();
    const response = await stream();
    expect(Date.now() - startedAt).toBeLessThan(390);
    expect(await read(response)).toEqual([
      ': waiting for the provider',
      JSON.stringify(chunk('saved')),
      JSON.stringify(chunk('', 'stop')),
      '[DONE]',
    ]);
  });
});

describe('an answer that breaks off', () => {
  const broken: [string, Answer, string][] = [
    [
      'a cut connection',
      (response) => {
        response.write(`data: ${JSON.stringify(chunk('half'))}\n\n`);
        setTimeout(() => response.destroy(), 20);
      },
      'upstream',
    ],
    ['an end without a finish reason', events(chunk('half')), 'upstream'],
    ['[DONE] without a finish reason', events(chunk('half'), '[DONE]'), 'upstream'],
    ['a stall', (response) => void response.write(`data: ${JSON.stringify(chunk('half'))}\n\n`), 'upstream_timeout'],
    ['an error event', events(chunk('half'), { error: { message: 'died' } }), 'upstream'],
  ];

  test.each(broken)('%s: an error event, no [DONE], and an estimate on the ledger', async (_name, bad, code) => {
    answers = { first: bad, second: json(whole('no')) };
    const response = await stream();
    const seen = await read(response);
    expect(seen[0]).toBe(JSON.stringify(chunk('half')));
    expect(JSON.parse(seen[1] ?? '')).toMatchObject({ error: { code } });
    expect(seen).toHaveLength(2);
    expect(second.received).toHaveLength(0);
    expect(await logged(response)).toMatchObject({ status: 'FAILED', usage: { outputTokens: 1, isEstimated: true } });
  });

  test('one broken event is passed over when the rest is whole', async () => {
    answers = { first: events(chunk('a'), '{"broken', chunk('b', 'stop'), '[DONE]'), second: json(whole('no')) };
    const seen = await read(await stream());
    expect(seen).toEqual([JSON.stringify(chunk('a')), JSON.stringify(chunk('b', 'stop')), '[DONE]']);
  });

  test('a missing [DONE] takes nothing from a whole answer', async () => {
    answers = { first: events(chunk('a', 'stop')), second: json(whole('no')) };
    expect((await read(await stream())).at(-1)).toBe('[DONE]');
  });
});

describe('a client that leaves', () => {
  // A busy machine can miss the limit by itself.
  test('stops the provider within 100 ms, and what was used is settled', { retry: 3 }, async () => {
    answers = {
      first: async (response, received) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (let i = 0; received.abortedAt === null && i < 500; i++) {
          response.write(`data: ${JSON.stringify(chunk('token '))}\n\n`);
          await sleep(10);
        }
      },
      second: json(whole('no')),
    };
    first.received.length = 0;
    const client = new AbortController();
    const response = await post({ messages: MESSAGES, stream: true }, {}, client.signal);
    const reader = response.body?.getReader();
    for (let i = 0; i < 5; i++) await reader?.read();
    const leftAt = Date.now();
    client.abort();
    const abortedAt = await until(() => first.received[0]?.abortedAt, 'the upstream was aborted');
    expect(abortedAt - leftAt).toBeLessThan(100);
    const request = await logged(response);
    expect(request).toMatchObject({ status: 'CANCELLED', errorCode: 'CANCELLED', usage: { isEstimated: true } });
    expect(request.usage.outputTokens).toBeGreaterThan(2);
    expect(server.services.gateway.running).toBe(0);
  });

  test('also before the provider has said anything', async () => {
    answers = { first: () => undefined, second: json(whole('no')) };
    const client = new AbortController();
    const leaving = post({ messages: MESSAGES }, {}, client.signal).catch(() => 'left');
    await until(() => first.received[0], 'the upstream was called');
    client.abort();
    expect(await leaving).toBe('left');
    await until(() => first.received[0]?.abortedAt, 'the upstream was aborted');
    expect(second.received).toHaveLength(0);
    await until(() => server.services.gateway.running === 0, 'nothing runs any more');
    expect(await logged(await lastId())).toMatchObject({ status: 'CANCELLED' });
  });

  test('while the intent is written down reaches no provider and pays nothing', async () => {
    answers = { first: json(whole('no')), second: json(whole('no')) };
    const { ledger, gateway } = server.services;
    const intend = ledger.intend;
    const writing = vi.spyOn(ledger, 'intend').mockImplementation(async (intent, price) => {
      await intend(intent, price);
      gateway.leave(intent.origin.completionId);
    });
    const response = await post({ messages: MESSAGES });
    writing.mockRestore();
    expect([first.received.length, second.received.length]).toEqual([0, 0]);
    expect(await logged(response)).toMatchObject({
      ...{ status: 'CANCELLED', cost: '0', usage: { inputTokens: null, isEstimated: false } },
      attempts: [{ number: 1, provider: 'first', status: 'CANCELLED', upstreamStatus: null, cost: '0' }],
    });
  });

  test('one that does not read holds the provider back', async () => {
    let written = 0;
    const event = `data: ${JSON.stringify(chunk('x'.repeat(16_384)))}\n\n`;
    answers = {
      first: async (response, received) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.on('close', () => response.emit('drain'));
        while (received.abortedAt === null && written < 200_000_000) {
          written += event.length;
          if (!response.write(event)) await once(response, 'drain');
        }
      },
      second: json(whole('no')),
    };
    const client = new AbortController();
    const response = await post({ messages: MESSAGES, stream: true }, {}, client.signal);
    await response.body?.getReader().read();
    await until(async () => {
      const before = written;
      await sleep(150);
      return written === before;
    }, 'the provider stopped writing');
    // What is in flight is bounded by socket buffers, far below what would have been sent.
    expect(written).toBeLessThan(40_000_000);
    client.abort();
    await until(() => server.services.gateway.running === 0, 'nothing runs any more');
  });
});

describe('configuration', () => {
  test('a switched provider serves the next request', async () => {
    answers = { first: json(whole('one')), second: json(whole('two')) };
    const ask = async () => (await post({ messages: MESSAGES })).headers.get('x-signalbox-provider');
    const activate = (id: string) =>
      server.query('mutation ($id: ID!) { activateProvider(id: $id) { __typename } }', { id });
    expect(await ask()).toBe('first');
    await activate('second');
    expect(await ask()).toBe('second');
    await activate('first');
    expect(await ask()).toBe('first');
  });
});

async function lastId(): Promise<string> {
  const { rows } = await until(async () => {
    await server.services.ledger.drained();
    return server.services.pool.query<{ id: string }>('SELECT id FROM completions ORDER BY id DESC LIMIT 1');
  }, 'a request on the ledger');
  return rows[0]?.id ?? '';
}
