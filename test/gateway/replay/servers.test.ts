import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { connectProviders, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { startNetwork } from '../../traps/network.ts';
import { Dictation, post, subscribe } from './kit.ts';

let one: TestServer;
let upstream: Upstream;
let answer = json(whole('Hi'));

beforeAll(async () => {
  one = await startServer();
  upstream = await startUpstream((response, received) => answer(response, received));
  await connectProviders(one, { one: upstream });
});
afterAll(async () => {
  await one?.close();
  await upstream?.close();
});
beforeEach(() => {
  answer = json(whole('Hi'));
  upstream.received.length = 0;
});

async function peer(overrides: Parameters<typeof startPeer>[1] = {}): Promise<TestServer> {
  const server = await startPeer(one, overrides);
  onTestFinished(() => server.close());
  return server;
}

async function conflict(server: TestServer, key: string) {
  const response = await post(server, key);
  expect(response.status).toBe(409);
  return ((await response.json()) as { error: { message: string; request: unknown } }).error;
}

test('another server does not make it again: it has the ledger’s record, over /v1 and GraphQL', async () => {
  const other = await peer();
  const first = await post(one, 'two servers');
  const id = first.headers.get('x-signalbox-request-id');
  await one.services.ledger.drained();
  expect(await conflict(other, 'two servers')).toMatchObject({
    message: expect.stringContaining('Another server has its answer'),
    request: {
      ...{ id, status: 'succeeded', model: 'm', provider: 'one', cost: '0.00002' },
      usage: { prompt_tokens: 10, completion_tokens: 5, is_estimated: false },
    },
  });

  const complete = (server: TestServer) =>
    server.query<{ complete: object }, object>(
      `mutation ($input: CompletionInput!) { complete(input: $input) {
         ... on Completion { requestId } ... on ConflictError { code request { id status cost usage { outputTokens } } } } }`,
      { input: { requestId: 'graphql', messages: [{ role: 'USER', content: 'Hi' }] } },
    );
  const made = await complete(one);
  await one.services.ledger.drained();
  expect((await complete(other)).data.complete).toEqual({
    code: 'CONFLICT',
    request: {
      id: (made.data.complete as { requestId: string }).requestId,
      status: 'SUCCEEDED',
      cost: '0.00002',
      usage: { outputTokens: 5 },
    },
  });
  expect(upstream.received).toHaveLength(2);
});

test('while it runs on another server there is no record yet', async () => {
  const other = await peer();
  const dictation = new Dictation();
  answer = dictation.answer;
  const requestId = 'running';
  const reader = await subscribe(one, { requestId });
  await dictation.say('One ');
  await reader.reach('One ');
  const elsewhere = await subscribe(other, { requestId, resumeFrom: 1 });
  expect((await elsewhere.finished()).error).toMatchObject({ __typename: 'ConflictError', request: null });
  await dictation.end('two');
  await reader.finished();
  expect(upstream.received).toHaveLength(1);
});

test('after a restart, and where the memory was needed, there is the record', async () => {
  const first = await startPeer(one);
  expect((await post(first, 'restart')).status).toBe(200);
  await first.close();
  const second = await peer({ replayBytes: 11_000 });
  expect(await conflict(second, 'restart')).toMatchObject({ request: { status: 'succeeded' } });

  for (const key of ['old', 'new']) expect((await post(second, key)).status).toBe(200);
  await second.services.ledger.drained();
  expect(await conflict(second, 'old')).toMatchObject({
    message: expect.stringContaining('not here any more'),
    request: { status: 'succeeded' },
  });
  expect((await post(second, 'new')).status).toBe(200);
  expect(upstream.received).toHaveLength(3);
});

test('a server that stops ends what runs with a clear error', async () => {
  const stopping = await startPeer(one);
  const dictation = new Dictation();
  answer = dictation.answer;
  const reader = await subscribe(stopping, { requestId: 'stopping' });
  await dictation.say('One ');
  await reader.reach('One ');
  await stopping.close();
  expect(reader.events.at(-1)).toMatchObject({ __typename: 'CompletionFailed', error: { code: 'OVERLOADED' } });
});

test('while Postgres is away only requests with a name are refused, except to what is here', async () => {
  const network = await startNetwork(one.connection, 'never');
  const { user, database, port } = network.connection;
  const cut = await peer({ databaseUrl: `postgresql://${user}@127.0.0.1:${port}/${database}` });
  expect((await post(cut, 'before')).status).toBe(200);
  await cut.services.ledger.drained();
  await network[Symbol.asyncDispose]();
  const refused = await post(cut, 'during');
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('5');
  expect(await refused.text()).toContain('knows the request ids that were used, cannot be reached');
  expect((await post(cut, null)).status).toBe(200);
  expect((await post(cut, 'before')).status).toBe(200);
  expect(upstream.received).toHaveLength(2);
  // Nothing is in the way of the name where Postgres can be asked.
  await eventually(async () => expect((await post(one, 'during')).status).toBe(200));
});
