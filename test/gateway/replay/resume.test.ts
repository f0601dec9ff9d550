import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/platform/log.ts';
import { newKey as newApiKey, newUser, set } from '../../control/budgets/kit.ts';
import { eventually, until } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import {
  type Answer,
  chunk,
  connectProviders,
  json,
  renewKey,
  startUpstream,
  events as told,
  type Upstream,
  whole,
} from '../../kit/upstream.ts';
import { Dictation, MESSAGES, post, subscribe } from './kit.ts';

const GRACE_MS = 400;

let server: TestServer;
let upstream: Upstream;
let answer: Answer;
let names = 0;
const faults: string[] = [];
const log = createLog({ logLevel: 'error' }, { write: (line) => void faults.push(line) });

beforeAll(async () => {
  server = await startServer({ resumeGraceMs: GRACE_MS, anonymousCompletions: true }, log);
  upstream = await startUpstream((response, received) => answer(response, received));
  await connectProviders(server, { one: upstream });
});
afterAll(async () => {
  await server?.close();
  await upstream?.close();
});
afterEach(() => {
  upstream.received.length = 0;
});

const newName = () => `${newKey()} – ü`;

/** A name as a header may have it. */
const newKey = () => {
  names += 1;
  return `name ${names}`;
};

async function onLedger(name: string) {
  await server.services.ledger.drained();
  const { rows } = await server.services.pool.query(
    `SELECT c.id, c.status::text, c.cost::text, (SELECT count(*)::int FROM attempts a WHERE a.completion_id = c.id) AS attempts
       FROM completions c JOIN claims ON claims.completion_id = c.id WHERE claims.key = $1`,
    [name],
  );
  return rows;
}

describe('a subscription whose connection is lost', () => {
  test('goes on where it was: one upstream call, and the same bytes in order, once', async () => {
    const dictation = new Dictation();
    answer = dictation.answer;
    const requestId = newName();
    const first = await subscribe(server, { requestId });
    const witness = await subscribe(server, { requestId });
    await dictation.say('One ', 'two ');
    await first.reach('two ');
    first.cut();
    await dictation.say('three ');
    await witness.reach('three ');
    const resumeFrom = (first.events.at(-1)?.seq ?? -1) + 1;
    const second = await subscribe(server, { requestId, resumeFrom });
    await second.reach('three ');
    await dictation.end('four');

    expect(await second.finished()).toEqual(await witness.finished());
    expect(first.text() + second.text()).toBe('One two three four');
    expect(witness.text()).toBe('One two three four');
    const seqs = [...first.events, ...second.events].flatMap(({ seq }) => seq ?? []);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    expect(second.events.map(({ __typename }) => __typename)).not.toContain('CompletionStarted');
    // Counted over the whole answer, and as the one who saw all of it was told.
    const tokens = (one: typeof second) => one.events.flatMap(({ outputTokens }) => outputTokens ?? []).at(-1);
    expect(tokens(second)).toBe(tokens(witness));
    expect(second.events.at(-1)?.completion?.text).toBe('One two three four');

    const again = await subscribe(server, { requestId });
    await again.finished();
    const later = await subscribe(server, { requestId });
    await later.finished();
    expect(later.frames).toEqual(again.frames);
    expect(again.text()).toBe('One two three four');
    expect(upstream.received).toHaveLength(1);
    expect(await onLedger(requestId)).toEqual([
      { id: again.events[0]?.requestId, status: 'SUCCEEDED', cost: '20000000', attempts: 1 },
    ]);
  });

  test('ends it after the grace', async () => {
    const dictation = new Dictation();
    answer = dictation.answer;
    const requestId = newName();
    const first = await subscribe(server, { requestId });
    await dictation.say('One ');
    await first.reach('One ');
    const cutAt = Date.now();
    first.cut();
    const abortedAt = await until(() => upstream.received[0]?.abortedAt, 'the end of the upstream call');
    expect(abortedAt - cutAt).toBeGreaterThanOrEqual(GRACE_MS - 20);
    const again = await subscribe(server, { requestId });
    expect((await again.finished())?.error).toMatchObject({ code: 'CANCELLED' });
    expect(again.text()).toBe('One ');
    expect(await onLedger(requestId)).toMatchObject([{ status: 'CANCELLED', attempts: 1 }]);
  });

  test('does not end while another one reads, nor by its unsubscribing', async () => {
    const dictation = new Dictation();
    answer = dictation.answer;
    const requestId = newName();
    const readers = [await subscribe(server, { requestId }), await subscribe(server, { requestId })];
    const stays = await subscribe(server, { requestId });
    await dictation.say('One ');
    for (const reader of [...readers, stays]) await reader.reach('One ');
    readers[0]?.cut();
    readers[1]?.unsubscribe();
    await sleep(GRACE_MS + 100);
    await dictation.end('two');
    await stays.finished();
    expect(stays.text()).toBe('One two');
  });
});

test('unsubscribing ends the upstream call at once', async () => {
  const dictation = new Dictation();
  answer = dictation.answer;
  const requestId = newName();
  const reader = await subscribe(server, { requestId });
  await dictation.say('One ');
  await reader.reach('One ');
  const at = Date.now();
  reader.unsubscribe();
  const abortedAt = await until(() => upstream.received[0]?.abortedAt, 'the end of the upstream call');
  expect(abortedAt - at).toBeLessThan(GRACE_MS / 2);
  await eventually(async () => expect(await onLedger(requestId)).toMatchObject([{ status: 'CANCELLED' }]));
});

test('over /v1, a stream that was cut comes again from its beginning, byte for byte, and goes on', async () => {
  const dictation = new Dictation();
  answer = dictation.answer;
  const key = newKey();
  const leaving = new AbortController();
  const body = { stream: true, stream_options: { include_usage: true } };
  const first = post(server, key, body, leaving.signal);
  await dictation.say('One ');
  await (await first).body?.getReader().read();
  leaving.abort();
  await sleep(50);
  const second = post(server, key, body);
  await dictation.end('two');
  const text = await (await second).text();
  expect(text).toContain('"content":"One "');
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  const third = await post(server, key, body);
  expect(await third.text()).toBe(text);
  expect(third.headers.get('x-signalbox-request-id')).toBe((await onLedger(key))[0]?.id);
  expect(upstream.received).toHaveLength(1);
});

test('twenty requests at once under one name are one upstream call, whole or streamed', async () => {
  answer = async (response, received) => {
    await sleep(50);
    return told(chunk('Hi '), chunk('there', 'stop'), '[DONE]')(response, received);
  };
  const key = newKey();
  const first = post(server, key, { stream: true });
  await until(() => upstream.received.length === 1);
  const rest = Array.from({ length: 19 }, (_, turn) => post(server, key, turn % 2 ? { stream: true } : {}));
  const answers = await Promise.all([first, ...rest].map(async (response) => (await response).text()));
  const wholes = answers.filter((text) => text.startsWith('{'));
  const streams = answers.filter((text) => text.startsWith('data: '));
  expect([wholes.length, streams.length]).toEqual([10, 10]);
  expect(new Set(streams).size).toBe(1);
  expect(new Set(wholes).size).toBe(1);
  expect(JSON.parse(wholes[0] ?? '')).toMatchObject({
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi there' }, finish_reason: 'stop' }],
  });
  expect(upstream.received).toHaveLength(1);
  expect(await onLedger(key)).toMatchObject([{ status: 'SUCCEEDED', attempts: 1 }]);
});

test('an answer that came whole can be streamed, and over GraphQL, too', async () => {
  answer = json(whole('All at once'));
  const requestId = newKey();
  const complete = () =>
    server.query<{ complete: { text: string; requestId: string; cost: string } }, object>(
      'mutation ($input: CompletionInput!) { complete(input: $input) { ... on Completion { text requestId cost } } }',
      { input: { messages: [{ role: 'USER', content: 'Hello' }], requestId } },
    );
  const first = await complete();
  expect((await complete()).data).toEqual(first.data);
  const reader = await subscribe(server, { requestId });
  const last = await reader.finished();
  expect(reader.text()).toBe('All at once');
  expect(last?.completion).toEqual(first.data.complete);
  expect(upstream.received).toHaveLength(1);
});

test('a name is the same one at both doors, in any script', async () => {
  answer = told(chunk('Hi', 'stop'), '[DONE]');
  const requestId = `${newKey()} – 名前`;
  const header = Buffer.from(requestId).toString('latin1');
  await (await subscribe(server, { requestId })).finished();
  // The input is not: `model` is given.
  expect((await post(server, header)).status).toBe(409);
  expect((await post(server, header, { model: undefined, stream: true })).status).toBe(200);
  expect(upstream.received).toHaveLength(1);
});

test('a client that leaves in the middle is no fault of the server’s, and gets the whole answer when it comes back', async () => {
  answer = async (response, received) => {
    await sleep(100);
    return json(whole('Hi'))(response, received);
  };
  const requestId = newKey();
  const query = 'mutation ($input: CompletionInput!) { complete(input: $input) { ... on Completion { text } } }';
  const complete = (signal?: AbortSignal) =>
    fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${server.admin}` },
      body: JSON.stringify({ query, variables: { input: { requestId, messages: [{ role: 'USER', content: 'Hi' }] } } }),
      ...(signal ? { signal } : {}),
    });
  const leaving = new AbortController();
  const left = complete(leaving.signal).catch((error) => error.name);
  await until(() => upstream.received.length);
  leaving.abort();
  expect(await left).toBe('AbortError');
  expect(await (await complete()).json()).toEqual({ data: { complete: { text: 'Hi' } } });
  expect(upstream.received).toHaveLength(1);
  expect(faults).toEqual([]);
});

test('embeddings are made once under a name', async () => {
  answer = json({ object: 'list', data: [{ object: 'embedding', index: 0, embedding: [0.5] }], model: 'm', usage: {} });
  const key = newKey();
  const embed = (input: string) =>
    fetch(`${server.url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}`, 'idempotency-key': key },
      body: JSON.stringify({ model: 'one/m', input }),
    });
  const first = await (await embed('a')).text();
  expect(await (await embed('a')).text()).toBe(first);
  expect((await embed('b')).status).toBe(409);
  expect((await post(server, key)).status).toBe(409);
  expect(upstream.received).toHaveLength(1);
});

describe('a name stands for one input', () => {
  test('whatever the order of its members; anything else is refused, and nothing happens', async () => {
    answer = json(whole('Hi'));
    const key = newKey();
    expect((await post(server, key, { temperature: 0, seed: 1 })).status).toBe(200);
    expect((await post(server, key, { seed: 1, temperature: 0 })).status).toBe(200);
    const changed: [object, Record<string, string>?][] = [
      [{ seed: 2, temperature: 0 }],
      [{ seed: 1 }],
      [{ seed: 1, temperature: 0 }, { 'x-signalbox-tags': 'team=search' }],
      [{ seed: 1, temperature: 0 }, { 'x-sandbox': 'fail=1' }],
    ];
    for (const [body, headers] of changed) {
      const refused = await post(server, key, body, undefined, headers);
      const { error } = (await refused.json()) as { error: Record<string, unknown> };
      expect(refused.status).toBe(409);
      expect(error).toMatchObject({ code: 'conflict', message: expect.stringContaining('other input') });
    }
    expect(upstream.received).toHaveLength(1);
  });

  test('also of numbers that JavaScript cannot tell apart', async () => {
    answer = json(whole('Hi'));
    const key = newKey();
    const ask = (seed: string) => post(server, key, `{"messages":[{"role":"user","content":"Hi"}],"seed":${seed}}`);
    expect((await ask('9007199254740993')).status).toBe(200);
    expect((await ask('9007199254740992')).status).toBe(409);
  });

  test('of one caller: another one has names of their own', async () => {
    answer = json(whole('Hi'));
    const key = newKey();
    const { id } = await newUser(server, 'other@example.com');
    const token = await server.services.tokens.sign(id);
    const other = (body = {}) => post(server, key, body, undefined, { authorization: `Bearer ${token}` });
    expect((await post(server, key)).status).toBe(200);
    expect((await other({ seed: 7 })).status).toBe(200);
    expect(upstream.received).toHaveLength(2);
  });
});

test('an API key attaches only to what it may ask for itself', async () => {
  answer = json(whole('Hi'));
  const key = newKey();
  const created = await server.query<{ createApiKey: { key: string } }, object>(
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeySuccess { key } } }',
    { input: { name: 'for another route', allowedRoutes: ['another'] } },
  );
  expect((await post(server, key)).status).toBe(200);
  const limited = { authorization: `Bearer ${created.data.createApiKey.key}` };
  const refused = await post(server, key, {}, undefined, limited);
  expect(refused.status).toBeGreaterThanOrEqual(400);
  expect(await refused.text()).not.toContain('Hi');
});

describe('what is refused', () => {
  test('names that are none, and callers who are nobody', async () => {
    for (const name of ['', 'x'.repeat(201)]) expect((await post(server, name)).status, name).toBe(400);
    const anonymous = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': newKey() },
      body: JSON.stringify({ messages: MESSAGES }),
    });
    expect(anonymous.status).toBe(401);
    expect(await anonymous.text()).toContain('an address is no identity');
    for (const input of [
      { requestId: 'a\u0000b' },
      { requestId: '\ud800' },
      { resumeFrom: 1 },
      { requestId: newName(), resumeFrom: -1 },
    ]) {
      const reader = await subscribe(server, input);
      expect((await reader.finished())?.error?.code, JSON.stringify(input)).toBe('VALIDATION');
    }
    expect(upstream.received).toHaveLength(0);
  });

  test('to go on with what was never begun, or from where it has not come to', async () => {
    const requestId = newName();
    const nothing = await subscribe(server, { requestId, resumeFrom: 3 });
    expect((await nothing.finished())?.error).toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('nothing under'),
    });
    expect(upstream.received).toHaveLength(0);
    answer = told(chunk('Hi', 'stop'), '[DONE]');
    await (await subscribe(server, { requestId })).finished();
    const beyond = await subscribe(server, { requestId, resumeFrom: 2 });
    expect((await beyond.finished())?.error).toMatchObject({
      code: 'VALIDATION',
      message: expect.stringContaining('at most 1'),
    });
  });

  test('bodies that nest without end, as a fault of theirs', async () => {
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
    const body = `{"messages":[{"role":"user","content":"Hi"}],"metadata":${deep}}`;
    expect((await post(server, newKey(), body)).status).toBe(400);
  });
});

describe('failures', () => {
  test('are told again as they were, and not tried again', async () => {
    answer = json({ error: { message: 'bad request of yours' } }, 400);
    const key = newKey();
    const [first, again] = [await post(server, key), await post(server, key)];
    expect([first.status, again.status]).toEqual([400, 400]);
    expect(await again.text()).toBe(await first.text());
    expect(upstream.received).toHaveLength(1);
  });

  test('before anything was sent leave the name free', async () => {
    answer = json({ error: { message: 'slow down' } }, 429, { 'retry-after': '60' });
    expect((await post(server, newKey())).status).toBe(429);
    const key = newKey();
    // The provider's only key rests.
    expect((await post(server, key)).status).toBe(429);
    expect(upstream.received).toHaveLength(1);
    expect(await onLedger(key)).toEqual([]);
    answer = json(whole('Hi'));
    await renewKey(server, 'one');
    expect((await post(server, key)).status).toBe(200);
  });

  test('for want of money, too', async () => {
    answer = json(whole('Hi'));
    const key = newKey();
    const { id } = await newUser(server, 'poor@example.com');
    const { apiKey } = await newApiKey(server, id, 'poor');
    const ask = () => post(server, key, { max_tokens: 100 }, undefined, { authorization: `Bearer ${apiKey}` });
    const limit = async (amount: string) => {
      await set(server, { subject: id, enforcement: 'HARD', period: 'TOTAL', limit: amount });
      await server.services.leases.refresh();
    };
    await limit('0.000000001');
    expect((await ask()).status).toBe(402);
    expect(await onLedger(key)).toEqual([]);
    await limit('1');
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(200);
    expect(upstream.received).toHaveLength(1);
    expect(await onLedger(key)).toMatchObject([{ status: 'SUCCEEDED', attempts: 1 }]);
  });

  test('an answer over 16 MiB is one, told clearly', async () => {
    answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const piece = `data: ${JSON.stringify(chunk('x'.repeat(1_000_000)))}\n\n`;
      const more = () => {
        if (!response.destroyed) response.write(piece, () => setTimeout(more, 1));
      };
      more();
    };
    const key = newKey();
    const response = await post(server, key, { stream: true });
    const text = await response.text();
    expect(text.slice(-500)).toContain('larger than the limit of 16777216 bytes');
    expect(text).not.toContain('[DONE]');
    expect(await onLedger(key)).toMatchObject([{ status: 'FAILED' }]);
  });
});
