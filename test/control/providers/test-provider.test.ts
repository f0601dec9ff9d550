import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { until } from '../../kit/eventually.ts';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { anotherAdmin, createProvider, deadAddress, healthOf, KEY, mutate, read } from './kit.ts';

interface Tested {
  provider: { slug: string; health: { status: string } };
  status: string;
  httpStatus: number | null;
  latencyMs: number | null;
  responseText: string | null;
  detail: string | null;
  model: string;
  requestId: string;
  testedAt: string;
}

let server: TestServer;
let upstream: Upstream;
let answer: Answer;
let slug = '';
let admin: Credential;
let count = 0;
beforeAll(async () => {
  server = await startServer({ providerTestTimeoutMs: 400 });
  upstream = await startUpstream((response, received) => answer(response, received));
});
afterAll(async () => {
  await upstream.close();
  await server.close();
});
beforeEach(async () => {
  answer = json(whole('Hello'));
  upstream.received.length = 0;
  slug = `tested-${count++}`;
  admin = await anotherAdmin(server);
});

const SUCCESS = `provider { slug health { status } }
  status httpStatus latencyMs responseText detail model requestId testedAt`;
const tryOut = (input: object) => mutate<Tested>(server, 'testProvider', { input }, SUCCESS, admin);

async function attemptsOf(requestId: string) {
  const find = `{ request(id: "${requestId}") { status provider model route userId tags { name value }
    attempts { provider status upstreamStatus } } }`;
  return until(async () => (await read<{ request: object | null }>(server, find)).request, 'the request on the ledger');
}

test('asks for a short completion, which is on the ledger like any other', async () => {
  await createProvider(server, slug, upstream.url, { models: [{ name: 'off', isEnabled: false }, { name: 'm' }] });
  const tested = await tryOut({ id: slug });
  expect(tested).toMatchObject({
    provider: { slug, health: { status: 'ONLINE' } },
    ...{ status: 'ONLINE', httpStatus: 200, responseText: 'Hello', detail: null, model: 'm' },
    latencyMs: expect.any(Number),
    testedAt: expect.any(String),
  });
  expect(upstream.received.map(({ body }) => JSON.parse(body))).toEqual([
    { model: 'm', messages: [{ role: 'user', content: 'Reply with the word OK.' }], max_tokens: 64 },
  ]);
  expect(await attemptsOf(tested.requestId)).toMatchObject({
    ...{ status: 'SUCCEEDED', provider: slug, route: null },
    tags: [{ name: 'purpose', value: 'provider-test' }],
    attempts: [{ provider: slug, status: 'SUCCEEDED', upstreamStatus: 200 }],
  });
});

test('asks the model that is named what is said, by id as well, and cuts a long answer', async () => {
  const id = await createProvider(server, slug, upstream.url);
  answer = json(whole('x'.repeat(5_000)));
  const tested = await tryOut({ id: id.toUpperCase(), model: 'not/in-the-catalog', message: ' Who are you? ' });
  expect(tested).toMatchObject({
    status: 'ONLINE',
    model: 'not/in-the-catalog',
    responseText: `${'x'.repeat(1_000)}…`,
  });
  expect(JSON.parse(upstream.received[0]?.body ?? '')).toMatchObject({
    model: 'not/in-the-catalog',
    messages: [{ role: 'user', content: 'Who are you?' }],
  });
});

test('tries a disabled provider, to which nothing else goes, and leaves it disabled', async () => {
  await createProvider(server, slug, upstream.url, { isEnabled: false });
  expect(await tryOut({ id: slug })).toMatchObject({ status: 'ONLINE' });
  expect(server.services.snapshots.current.providersBySlug.get(slug)).toMatchObject({ isEnabled: false });
  expect(upstream.received).toHaveLength(1);
});

test('limits the output of OpenAI’s models by the name that all of them take', async () => {
  await createProvider(server, slug, upstream.url, { kind: 'OPENAI' });
  await tryOut({ id: slug });
  expect(Object.keys(JSON.parse(upstream.received[0]?.body ?? ''))).toEqual([
    ...['model', 'messages', 'max_completion_tokens'],
  ]);
});

test.each<[string, Answer, string, number | null, RegExp]>([
  ['a key that it refuses', json({ error: { message: 'bad key' } }, 401), 'OFFLINE', 401, /rejected the stored key/],
  ['a fault of its own', json({ error: { message: 'boom' } }, 500), 'OFFLINE', 500, /boom/],
  ['no completion', json('<html>Welcome</html>'), 'OFFLINE', 200, /not JSON/],
  ['a reset', (response) => response.destroy(), 'OFFLINE', null, /closed the connection/],
  ['silence', () => sleep(5_000, null, { ref: false }), 'OFFLINE', null, /did not finish within 0.4 s/],
  ['an unknown model', json({ error: { message: 'no model m' } }, 404), 'DEGRADED', 404, /does not know the model/],
  ['a rate limit', json({ error: { message: 'slow down' } }, 429), 'DEGRADED', 429, /limits its requests: slow down/],
  ['a refusal', json({ error: { message: 'odd parameter' } }, 400), 'DEGRADED', 400, /refused the request: odd/],
])('an upstream that answers with %s is a test, too', async (_what, given, status, httpStatus, detail) => {
  await createProvider(server, slug, upstream.url);
  answer = given;
  const tested = await tryOut({ id: slug });
  expect(tested).toMatchObject({ __typename: 'TestProviderSuccess', status, httpStatus, responseText: null });
  expect(tested.detail).toMatch(detail);
  expect(await healthOf(server, slug)).toMatchObject({ status, upstreamStatus: httpStatus, detail: tested.detail });
  expect(await attemptsOf(tested.requestId)).toMatchObject({ status: 'FAILED', attempts: [{ provider: slug }] });
  expect(upstream.received).toHaveLength(1);
});

test('an address where nobody is, is OFFLINE', async () => {
  await createProvider(server, slug, await deadAddress());
  expect(await tryOut({ id: slug })).toMatchObject({
    status: 'OFFLINE',
    httpStatus: null,
    detail: expect.stringMatching(/could not be reached/),
  });
});

test.each<[string, Answer, string]>([
  ['answer', json(whole(`Your key is ${KEY}.`)), 'Your key is ….'],
  ['message of an error', json({ error: { message: `No luck with ${KEY}` } }, 400), 'No luck with …'],
  ['parameter of an error', json({ error: { message: 'No luck', param: KEY } }, 400), 'No luck'],
  ['body of an error', json(`{"text": "${KEY}"}`, 500), '…'],
])('no key is told that stands in the %s', async (_where, given, told) => {
  await createProvider(server, slug, upstream.url);
  answer = given;
  const tested = await tryOut({ id: slug });
  expect(`${tested.responseText}${tested.detail}`).toContain(told);
  expect(JSON.stringify(tested)).not.toContain(KEY);
  const { prisma } = server.services;
  expect(JSON.stringify([await healthOf(server, slug), await prisma.event.findMany()], bigints)).not.toContain(KEY);
});

test('a provider without a model, or without the key it needs, is refused with what to do', async () => {
  await createProvider(server, slug, upstream.url, { models: [] });
  expect(await tryOut({ id: slug })).toMatchObject({
    code: 'VALIDATION',
    message: expect.stringMatching(/^model: must be given, because/),
  });
  expect(await tryOut({ id: slug, model: 'm' })).toMatchObject({ status: 'ONLINE' });
  expect(await tryOut({ id: 'anthropic' })).toMatchObject({
    code: 'VALIDATION',
    message: expect.stringMatching(/setProviderKey/),
  });
  expect(upstream.received).toHaveLength(1);
  expect(await healthOf(server, 'anthropic')).toBeNull();
});

test('a wrong input is refused, and nothing is sent', async () => {
  await createProvider(server, slug, upstream.url);
  for (const wrong of [{ model: 'a b' }, { model: '' }, { message: ' ' }, { message: 'x'.repeat(10_001) }])
    expect(await tryOut({ id: slug, ...wrong })).toMatchObject({ code: 'VALIDATION' });
  for (const id of ['nobody', '\0', '0197a3f0-0000-7000-8000-000000000000'])
    expect(await tryOut({ id })).toMatchObject({ code: 'PROVIDER_NOT_FOUND' });
  expect(upstream.received).toEqual([]);
});

test('an admin has ten tests a minute', async () => {
  await createProvider(server, slug, upstream.url);
  for (let number = 0; number < 10; number++) expect(await tryOut({ id: slug })).toMatchObject({ status: 'ONLINE' });
  const refused = await tryOut({ id: slug });
  expect(refused).toMatchObject({
    code: 'RATE_LIMITED',
    message: expect.stringMatching(/^10 tests .* Try again in [1-6] seconds/),
  });
  expect(upstream.received).toHaveLength(10);
  admin = await anotherAdmin(server);
  expect(await tryOut({ id: slug })).toMatchObject({ status: 'ONLINE' });
});

const bigints = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
