import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';
import { json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { anotherAdmin, ask, createProvider, mutate, read } from './kit.ts';

const ONE = 'sk-one-0123456789abcdef1111';
const TWO = 'sk-two-0123456789abcdef2222';

interface Key {
  id: string;
  name: string;
  hint: string;
  weight: number;
  restingUntil: string | null;
  restReason: string | null;
}

let server: TestServer;
let upstream: Upstream;
/** What the upstream answers calls with a key that is not good. */
let answers: Map<string, ReturnType<typeof json>>;
beforeAll(async () => {
  server = await startServer();
  answers = new Map();
  upstream = await startUpstream((response, received) => {
    const key = received.headers.authorization?.replace('Bearer ', '') ?? '';
    return (answers.get(key) ?? json(whole('fine')))(response, received);
  });
});
afterAll(async () => {
  await server.close();
  await upstream.close();
});

const rejects = (key: string) => answers.set(key, json({ error: { message: `bad key ${key}` } }, 401));
const limits = (key: string) => answers.set(key, json({ error: { message: 'slow down' } }, 429));
const setKey = (input: object) =>
  mutate<{ provider: { keyHint: string; version: number } }>(
    server,
    'setProviderKey',
    { input },
    'provider { keyHint version }',
  );
const keysOf = async (provider: string) => {
  const document = `{ providerKeys(provider: "${provider}") { id name hint weight restingUntil restReason } }`;
  return (await read<{ providerKeys: Key[] }>(server, document)).providerKeys;
};
const keyNamed = async (provider: string, name: string) =>
  (await keysOf(provider)).find((key) => key.name === name) as Key;

/** A provider with the key ONE and another one, TWO. Returns what to put in `model`. */
async function providerWithTwoKeys(slug: string, weight = 1): Promise<string> {
  answers.clear();
  await createProvider(server, slug, upstream.url, { apiKey: ONE });
  await setKey({ provider: slug, key: TWO, name: 'second', weight });
  upstream.received.length = 0;
  return `${slug}/m`;
}
const sent = () => upstream.received.map(({ headers }) => headers.authorization?.slice('Bearer '.length));

test('a key of another name is one more, one of the same name takes its place, and they share the calls by weight', async () => {
  const model = await providerWithTwoKeys('sharing', 3);
  const [first, second] = await keysOf('sharing');
  expect(first).toMatchObject({ name: 'default', hint: 'sk-…1111', weight: 1, restingUntil: null, restReason: null });
  expect(second).toMatchObject({ name: 'second', hint: 'sk-…2222', weight: 3 });
  for (let call = 0; call < 8; call++) expect(await ask(server, model)).toBe(200);
  expect(sent().filter((key) => key === TWO)).toHaveLength(6);

  const replacement = 'sk-three-0123456789abcdef3333';
  await setKey({ provider: 'sharing', key: replacement, name: 'second' });
  const after = await keyNamed('sharing', 'second');
  expect(after).toMatchObject({ hint: 'sk-…3333', weight: 3 });
  expect(after.id).not.toBe(second?.id);
  expect(await keyNamed('sharing', 'default')).toEqual(first);
});

test('the weight of a key can be changed by who does not have the key', async () => {
  await providerWithTwoKeys('weighed');
  const before = await keyNamed('weighed', 'second');
  await setKey({ provider: 'weighed', name: 'second', weight: 7 });
  expect(await keyNamed('weighed', 'second')).toEqual({ ...before, weight: 7 });
  expect(await setKey({ provider: 'weighed', name: 'second' })).toMatchObject({ code: 'VALIDATION' });
  const refused = await setKey({ provider: 'weighed', name: 'third', weight: 7 });
  expect(refused).toMatchObject({ __typename: 'ValidationError', message: expect.stringContaining('must be given') });
});

test.each([{ weight: 0 }, { weight: 1_001 }, { name: '' }, { name: 'x'.repeat(101) }])('refuses %j', async (wrong) => {
  expect(await setKey({ provider: 'groq', key: ONE, ...wrong })).toMatchObject({ __typename: 'ValidationError' });
});

test('a provider has at most 20 keys', async () => {
  await createProvider(server, 'full', upstream.url, { apiKey: ONE });
  for (let index = 2; index <= 20; index++) await setKey({ provider: 'full', key: TWO, name: `key ${index}` });
  expect(await keysOf('full')).toHaveLength(20);
  expect(await setKey({ provider: 'full', key: TWO, name: 'one more' })).toMatchObject({ code: 'VALIDATION' });
  expect(await setKey({ provider: 'full', key: TWO, name: 'key 20' })).toMatchObject({
    __typename: 'SetProviderKeySuccess',
  });
});

test('a key that is rejected hands over to another one within the request, and rests', async () => {
  const model = await providerWithTwoKeys('rejecting');
  rejects(ONE);
  for (let call = 0; call < 5; call++) expect(await ask(server, model)).toBe(200);
  expect(sent().filter((key) => key === ONE)).toHaveLength(1);
  const rested = await keyNamed('rejecting', 'default');
  expect(rested.restReason).toBe('REJECTED');
  expect(Date.parse(rested.restingUntil ?? '') - Date.now()).toBeGreaterThan(4 * 60_000);
  expect(await keyNamed('rejecting', 'second')).toMatchObject({ restReason: null, restingUntil: null });

  await setKey({ provider: 'rejecting', key: 'sk-new-0123456789abcdef4444' });
  expect(await keyNamed('rejecting', 'default')).toMatchObject({ restReason: null });
});

test('the ledger names the key of each call', async () => {
  const model = await providerWithTwoKeys('named');
  rejects(ONE);
  expect(await ask(server, model)).toBe(200);
  await server.services.ledger.drained();
  const { rows } = await server.services.pool.query(
    `SELECT provider_key_id AS key, status::text, used_own_key AS own FROM attempts
      WHERE provider_slug = 'named' ORDER BY number`,
  );
  const [first, second] = await keysOf('named');
  expect(rows).toEqual([
    { key: first?.id, status: 'FAILED', own: false },
    { key: second?.id, status: 'SUCCEEDED', own: false },
  ]);
});

test('while all keys of a provider are limited the next provider answers; without one they are tried all the same', async () => {
  const model = await providerWithTwoKeys('limited');
  await createProvider(server, 'spare', upstream.url, { apiKey: 'sk-spare-0123456789abcdef', models: [{ name: 'm' }] });
  await mutate(
    server,
    'createRoute',
    { input: { name: 'Both', slug: 'both', targets: [{ provider: 'limited', priority: 1 }, { provider: 'spare' }] } },
    'route { id }',
  );
  limits(ONE);
  limits(TWO);
  expect(await ask(server, 'both')).toBe(200);
  expect(sent()).toEqual([ONE, TWO, 'sk-spare-0123456789abcdef']);
  expect(await ask(server, 'both')).toBe(200);
  expect(sent().slice(3)).toEqual(['sk-spare-0123456789abcdef']);
  expect((await keysOf('limited')).map(({ restReason }) => restReason)).toEqual(['LIMITED', 'LIMITED']);

  expect(await ask(server, model)).toBe(429);
  answers.clear();
  expect(await ask(server, model)).toBe(200);
  expect((await keysOf('limited')).filter(({ restReason }) => restReason === 'LIMITED')).toHaveLength(1);
});

test('a test asks with the one key, and lets it rest or serve again', async () => {
  await providerWithTwoKeys('tested');
  const { id } = await keyNamed('tested', 'second');
  const admin = await anotherAdmin(server);
  const testKey = (key: string) =>
    mutate<{ status: string; httpStatus: number; detail: string; key: Key }>(
      server,
      'testProviderKey',
      { id: key },
      'status httpStatus latencyMs detail key { name restReason }',
      admin,
    );
  rejects(TWO);
  const failed = await testKey(id);
  expect(failed).toMatchObject({ status: 'OFFLINE', httpStatus: 401, key: { name: 'second', restReason: 'REJECTED' } });
  expect(JSON.stringify(failed)).not.toContain(TWO.slice(3, -4));
  answers.clear();
  expect(await testKey(id.toUpperCase())).toMatchObject({
    ...{ status: 'ONLINE', httpStatus: 200, detail: null, latencyMs: expect.any(Number) },
    key: { name: 'second', restReason: null },
  });
  expect(sent()).toEqual([TWO, TWO]);
  const { data } = await server.query<{ provider: { health: unknown } }, object>(
    '{ provider(id: "tested") { health { status } } }',
  );
  expect(data.provider.health).toBeNull();

  for (let count = 2; count < 10; count++) await testKey(id);
  expect(await testKey(id)).toMatchObject({ code: 'RATE_LIMITED' });
  for (const nobody of ['nobody', '0197a3f0-0000-7000-8000-000000000000'])
    expect(await testKey(nobody)).toMatchObject({ code: 'NOT_FOUND' });
});

test('a ciphertext that is moved to another key, or to another provider, does not open', async () => {
  await providerWithTwoKeys('moved');
  await createProvider(server, 'elsewhere', upstream.url, { apiKey: ONE });
  const { prisma, snapshots } = server.services;
  const [first, second] = await keysOf('moved');
  const { ciphertext } = await prisma.providerKey.findUniqueOrThrow({ where: { id: first?.id ?? '' } });
  await prisma.providerKey.update({ where: { id: second?.id ?? '' }, data: { ciphertext } });
  const { id: providerId } = await prisma.provider.findUniqueOrThrow({ where: { slug: 'elsewhere' } });
  await prisma.providerKey.deleteMany({ where: { providerId } });
  await prisma.providerKey.update({ where: { id: first?.id ?? '' }, data: { providerId } });
  await createProvider(server, 'whatever', upstream.url);
  expect(snapshots.current.providersBySlug.get('moved')?.keys).toEqual([]);
  expect(snapshots.current.providersBySlug.get('elsewhere')?.keys).toEqual([]);
});
