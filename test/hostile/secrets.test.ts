import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'graphql-ws';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ACCOUNTS_CHANNEL } from '../../src/gateway/admission/accounts.ts';
import { LEDGER_CHANNEL } from '../../src/gateway/ledger/ledger-seq.ts';
import { CONFIGURATION_CHANNEL } from '../../src/gateway/snapshot/keeper.ts';
import { runningEmbeddedPostgres } from '../../src/platform/database/embedded.ts';
import { EVENTS_CHANNEL } from '../../src/platform/events/feed.ts';
import { startUpstream, type Upstream, whole } from '../kit/upstream.ts';
import { API_KEY, DataFolder } from '../process/server-process.ts';

/** Nothing of a key that is this long may be seen anywhere. */
const PIECE = 12;
/** Whatever of a key is as long as a piece holds one of its blocks, at this distance from each other. */
const BLOCK = 6;

const keys: Record<string, string> = {};
const newKey = (name: string) => {
  keys[name] = `sk-${randomBytes(24).toString('base64url')}/${randomBytes(6).toString('hex')}`;
  return keys[name];
};

/** The keys of which a piece is in `bytes`: as it is, or as hexadecimal digits show it. */
function leaksIn(bytes: Buffer): string[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const shapes = [Buffer.from(key), Buffer.from(Buffer.from(key).toString('hex'))];
    return shapes.some((shape, index) => holdsPieceOf(shape, bytes, 1 + index)) ? [name] : [];
  });
}

/** @param width bytes that a character takes */
function holdsPieceOf(key: Buffer, bytes: Buffer, width: number): boolean {
  const length = PIECE * width;
  for (let at = 0; at + BLOCK * width <= key.length; at += BLOCK * width) {
    if (!bytes.includes(key.subarray(at, at + BLOCK * width))) continue;
    for (let start = Math.max(0, at - length + BLOCK * width); start <= at; start += width)
      if (start + length <= key.length && bytes.includes(key.subarray(start, start + length))) return true;
  }
  return false;
}

/** What was seen, by where. */
const seen = new Map<string, string[]>();
const see = (where: string, text: string) => seen.set(where, [...(seen.get(where) ?? []), text]);

let upstream: Upstream;
afterAll(() => upstream.close());

/** Repeats the key in every way it fails: by the path's model. */
async function startTellingUpstream(): Promise<Upstream> {
  return startUpstream((response, { headers, body }) => {
    const key = headers.authorization?.replace('Bearer ', '') ?? '';
    const { model, stream } = JSON.parse(body) as { model: string; stream?: boolean };
    if (model === 'm') return answer(200, whole('fine'));
    if (model === 'cut') return response.destroy();
    const told = { message: `bad ${key} ${encodeURIComponent(key)}`, param: key, code: key, type: key };
    if (stream && model === 'event') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return response.end(`data: ${JSON.stringify({ error: told })}\n\n`);
    }
    if (model === 'page') return answer(500, `<html>${key}</html>`);
    if (model === 'text') return answer(503, `no ${key}`);
    return answer(Number(model) || 200, { error: told });

    function answer(status: number, content: string | object): void {
      response.writeHead(status, { 'content-type': 'application/json', 'x-key': key, 'x-request-id': key });
      response.end(typeof content === 'string' ? content : JSON.stringify(content));
    }
  });
}

test('the search finds a piece of a key, in text and in hexadecimal', () => {
  const key = newKey('planted');
  for (let start = 0; start + PIECE <= key.length; start++) {
    const piece = key.slice(start, start + PIECE);
    expect(leaksIn(Buffer.from(`…${piece}…`))).toEqual(['planted']);
    expect(leaksIn(Buffer.from(Buffer.from(piece).toString('hex')))).toEqual(['planted']);
  }
  expect(leaksIn(Buffer.from(`${key.slice(0, 3)}…${key.slice(-4)}`))).toEqual([]);
});

test('no piece of a provider key is in an answer, a log, a metric, a notification, the journal or the database', async () => {
  upstream = await startTellingUpstream();
  await using folder = await DataFolder.make();
  const server = folder.start({ LOG_LEVEL: 'trace', OPENAI_API_KEY: newKey('environment') });
  const url = await server.ready();
  const connection = await runningEmbeddedPostgres(folder.path);
  const database = new pg.Client(connection);
  await database.connect();
  database.on('error', () => undefined);
  database.on('notification', ({ channel, payload }) => see(`notification ${channel}`, payload ?? ''));
  for (const channel of [ACCOUNTS_CHANNEL, CONFIGURATION_CHANNEL, EVENTS_CHANNEL, LEDGER_CHANNEL])
    await database.query(`LISTEN ${channel}`);
  const subscriptions = watch(url);

  await useKeys(url);
  await failWithKeys(url);
  await misuseKeys(url);
  for (const path of ['/health', '/metrics', '/v1/models', '/ping']) await request(url, path);
  await graphql(url, '{ __typename }');
  see('database', await dump(database));
  expect(seen.get(`notification ${EVENTS_CHANNEL}`)?.length).toBeGreaterThan(3);
  await database.end();
  await subscriptions.dispose();
  await server.end('SIGTERM');
  see('log', server.stdout + server.stderr);

  for (const [where, texts] of seen) expect(leaksIn(Buffer.from(texts.join('\n'))), where).toEqual([]);
  for (const path of await filesIn(folder.path)) expect(leaksIn(await readFile(path)), path).toEqual([]);
  expect([...seen.keys()]).toEqual(expect.arrayContaining(['answer', 'subscription', 'database', 'log']));
}, 180_000);

/** Sets, tests, uses, lists, rotates out and deletes keys. */
async function useKeys(url: string): Promise<void> {
  const at = { baseUrl: upstream.url };
  await mutate(url, 'updateProvider', { id: 'openai', ...at });
  const models = [{ name: 'm' }];
  await mutate(url, 'createProvider', { name: 'Mine', ...at, apiKey: newKey('created'), models });
  await mutate(url, 'setProviderKey', { provider: 'mine', key: newKey('replacing') });
  await mutate(url, 'setProviderKey', { provider: 'mine', key: newKey('second'), name: 'second', weight: 2 });
  await mutate(url, 'setMyProviderKey', { provider: 'mine', key: newKey('own') });
  await mutate(url, 'testProvider', { id: 'mine' });
  for (const model of ['mine/m', 'openai/m']) await complete(url, model);
  await lookAtEverything(url);
  const { data } = await graphql(url, '{ providerKeys { id hint name } myProviderKeys { id hint } }');
  const ids = (data.providerKeys as { id: string }[]).map(({ id }) => id);
  expect(ids).toHaveLength(3);
  for (const id of ids) await graphql(url, `mutation { testProviderKey(id: "${id}") ${DONE} }`);
  await graphql(url, `mutation { deleteProviderKey(id: "${ids.at(-1)}") ${DONE} }`);
}

/** Lets a provider repeat the key in all its errors, also a user's own key. */
async function failWithKeys(url: string): Promise<void> {
  const faults = ['401', '403', '400', '404', '429', '500', '503', '200', 'event', 'page', 'text', 'cut'];
  for (const isOwn of [true, false]) {
    for (const fault of faults) {
      await complete(url, `mine/${fault}`);
      await complete(url, `mine/${fault}`, true);
      await mutate(url, 'testProvider', { id: 'mine', model: fault });
      const messages = '[{ role: USER, content: "Hi" }]';
      await graphql(url, `mutation { complete(input: { model: "mine/${fault}", messages: ${messages} }) ${DONE} }`);
    }
    await lookAtEverything(url);
    if (!isOwn) continue;
    const { data } = await graphql(url, '{ myProviderKeys { id } }');
    const [own] = data.myProviderKeys as { id: string }[];
    await graphql(url, `mutation { deleteMyProviderKey(id: "${own?.id}") ${DONE} }`);
  }
}

/** Puts keys where they do not belong. */
async function misuseKeys(url: string): Promise<void> {
  const key = newKey('misplaced');
  await mutate(url, 'setProviderKey', { provider: key, key: `${key} ` });
  await mutate(url, 'setProviderKey', { provider: 'mine', key: `${key}\n`, weight: 0 });
  await mutate(url, 'setMyProviderKey', { provider: 'mine', key: `${key} ` });
  await mutate(url, 'createProvider', { name: 'X', baseUrl: `https://${key}@a.test/v1`, apiKey: `${key}\t` });
  await mutate(url, 'createProvider', { name: 'X', baseUrl: `https://a.test/v1?key=${key}` });
  const document = 'mutation ($input: SetProviderKeyInput!) { setProviderKey(input: $input) { __typename } }';
  for (const body of [
    { query: document, variables: { input: { provider: 'mine', key, unknown: 1 } } },
    { query: document, variables: { input: { provider: 'mine', key: [key] } } },
    { query: document, variables: { input: key } },
    { query: `mutation { setProviderKey(input: { provider: "mine", key: "${key}" ` },
    { query: `mutation { setProviderKey(input: { provider: "mine", key: "${key}", unknown: 1 }) { __typename } }` },
    { query: `mutation { setProviderKey(input: { provider: "mine", weight: "${key}" }) { __typename } }` },
    { query: `mutation { createProvider(input: { name: "X", kind: "${key}" }) { __typename } }` },
    { query: `mutation { setProviderKey(input: "${key}") { __typename } }` },
  ])
    await request(url, '/graphql', { method: 'POST', body: JSON.stringify(body) });
  await request(url, '/v1/models', { headers: { authorization: `Bearer ${key}` } });
  await request(url, '/graphql', { headers: { authorization: `Bearer ${key}` } });
  await request(url, '/v1/chat/completions', { method: 'POST', body: '{', headers: { 'x-api-key': key } });
}

const DONE = '{ __typename ... on Error { code message } }';
const RESULT = '{ __typename ... on Error { code message } ... on ValidationError { issues { path message } } }';

async function lookAtEverything(url: string): Promise<void> {
  await graphql(
    url,
    `{ providers { id name baseUrl keyHint health { status detail } } providerKeys { id name hint restReason }
       myProviderKeys { id hint restReason }
       requests(first: 100) { nodes { id errorMessage warnings attempts { errorMessage usedOwnKey } } } }`,
  );
}

/** Follows what is told live until it is disposed. */
function watch(url: string): { dispose(): void | Promise<void> } {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${API_KEY}` },
  });
  const queries = [
    'requestLogged { id errorMessage attempts { errorMessage } }',
    'configurationChanged { changes { name } }',
    'providerHealthChanged { status detail }',
  ];
  const sink = {
    next: (event: unknown) => see('subscription', JSON.stringify(event)),
    error: (error: unknown) => see('subscription', JSON.stringify(error)),
    complete: () => undefined,
  };
  for (const query of queries) client.subscribe({ query: `subscription { ${query} }` }, sink);
  return client;
}

async function request(url: string, path: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(url + path, {
    ...init,
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...init.headers },
  });
  const text = await response.text();
  see('answer', JSON.stringify([...response.headers]) + text);
  return text;
}

async function graphql(url: string, query: string, variables: object = {}) {
  const text = await request(url, '/graphql', { method: 'POST', body: JSON.stringify({ query, variables }) });
  const { data, errors } = JSON.parse(text) as { data: Record<string, unknown>; errors?: unknown };
  expect(errors).toBeUndefined();
  return { data };
}

function mutate(url: string, name: string, input: object) {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}Input`;
  return graphql(url, `mutation ($input: ${type}!) { ${name}(input: $input) ${RESULT} }`, { input });
}

function complete(url: string, model: string, stream = false): Promise<string> {
  const body = JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hi' }] });
  return request(url, '/v1/chat/completions', { method: 'POST', body });
}

/** Every row of every table, as text. */
async function dump(database: pg.Client): Promise<string> {
  const { rows: tables } = await database.query<{ name: string }>(
    "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
  );
  let text = '';
  for (const { name } of tables) {
    const { rows } = await database.query<{ row: string }>(`SELECT t::text AS row FROM ${name} AS t`);
    text += `${name}\n${rows.map(({ row }) => row).join('\n')}\n`;
  }
  expect(text).toContain('sk-…');
  return text;
}

/** All that is on the disk: the journal, the logs, and Postgres's own files. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
