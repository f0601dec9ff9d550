import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { until } from '../../kit/eventually.ts';
import { type Credential, startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { createProvider, KEY, mutate, read } from './kit.ts';

const OWN = 'sk-own-0123456789abcdef9999';

interface OwnKey {
  id: string;
  provider: string;
  hint: string;
}

let server: TestServer;
let upstream: Upstream;
let refused: string | null = null;
beforeAll(async () => {
  server = await startServer();
  upstream = await startUpstream((response, received) => {
    const isRefused = refused !== null && received.headers.authorization === `Bearer ${refused}`;
    return (isRefused ? json({ error: { message: 'bad key' } }, 401) : json(whole('fine')))(response, received);
  });
});
afterAll(async () => {
  await server.close();
  await upstream.close();
});

async function newUser(): Promise<{ id: string; token: string; key: string }> {
  const { services } = server;
  const { id } = await changeAccounts(services, (tx, revision) =>
    tx.user.create({ data: { email: `${uuidv7()}@example.com`, passwordHash: '-', revision } }),
  );
  const token = await services.tokens.sign(id);
  const created = await mutate<{ key: string }>(server, 'createApiKey', { input: { name: 'mine' } }, 'key', { token });
  return { id, token, key: created.key };
}
const setOwn = (credential: Credential, provider: string, key = OWN) =>
  mutate<{ key: OwnKey }>(
    server,
    'setMyProviderKey',
    { input: { provider, key } },
    'key { id provider hint restReason }',
    credential,
  );
const ownKeys = async (credential: Credential) => {
  const document = '{ myProviderKeys { id provider hint restReason restingUntil createdAt } }';
  const { data } = await server.query<{ myProviderKeys: OwnKey[] }, object>(document, {}, credential);
  return data.myProviderKeys;
};
const removeOwn = (credential: Credential, id: string) =>
  mutate<{ id: string }>(server, 'deleteMyProviderKey', { id }, 'id', credential);

/** Sends a completion as somebody; returns the status, and the key that the provider got last. */
async function ask(bearer: string, model: string, url = server.url): Promise<{ status: number; with: string }> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  await response.arrayBuffer();
  const authorization = upstream.received.at(-1)?.headers.authorization ?? '';
  return { status: response.status, with: authorization.replace('Bearer ', '') };
}

test('a user’s completions go with their own key, by token and by API key, and nobody else’s do', async () => {
  await createProvider(server, 'shared', upstream.url);
  const user = await newUser();
  const other = await newUser();
  expect((await setOwn(user, 'shared')).key).toMatchObject({ provider: 'shared', hint: 'sk-…9999', restReason: null });
  for (const bearer of [user.token, user.key])
    expect(await ask(bearer, 'shared/m')).toEqual({ status: 200, with: OWN });
  for (const bearer of [other.token, other.key, server.apiKey])
    expect(await ask(bearer, 'shared/m')).toEqual({ status: 200, with: KEY });

  await setOwn(user, 'shared', 'sk-own-0123456789abcdef8888');
  expect(await ask(user.key, 'shared/m')).toEqual({ status: 200, with: 'sk-own-0123456789abcdef8888' });
  expect(await ownKeys(user)).toHaveLength(1);
});

test('only the user sees and deletes it; for admins it does not exist', async () => {
  await createProvider(server, 'private', upstream.url);
  const user = await newUser();
  const { key } = await setOwn(user, 'private');
  expect(await ownKeys(user)).toMatchObject([{ id: key.id, provider: 'private' }]);
  expect(await ownKeys({ token: server.admin })).toEqual([]);
  const { providerKeys } = await read<{ providerKeys: { id: string }[] }>(server, '{ providerKeys { id } }');
  expect(providerKeys.map(({ id }) => id)).not.toContain(key.id);
  for (const mutation of ['deleteProviderKey', 'testProviderKey', 'deleteMyProviderKey'])
    expect(await mutate(server, mutation, { id: key.id }, '__typename')).toMatchObject({ code: 'NOT_FOUND' });
  expect(await removeOwn(user, key.id)).toMatchObject({ id: key.id });
  expect(await ownKeys(user)).toEqual([]);
  expect(await ask(user.key, 'private/m')).toEqual({ status: 200, with: KEY });
  expect(await removeOwn(user, key.id)).toMatchObject({ code: 'NOT_FOUND' });
});

test('it serves where the system has no key, and the models of that provider are listed for that user alone', async () => {
  const user = await newUser();
  const { id } = await server.services.prisma.provider.findUniqueOrThrow({ where: { slug: 'together' } });
  await mutate(server, 'updateProvider', { input: { id, baseUrl: upstream.url } }, 'provider { id }');
  const listed = async (bearer: string) => {
    const response = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${bearer}` } });
    const { data } = (await response.json()) as { data: { id: string }[] };
    return data.some((model) => model.id === 'together/openai/gpt-oss-120b');
  };
  expect(await listed(user.key)).toBe(false);
  expect(await ask(user.key, 'together/m')).toMatchObject({ status: 404 });

  await setOwn(user, 'together');
  expect(await listed(user.key)).toBe(true);
  expect(await listed(server.apiKey)).toBe(false);
  expect(await ask(user.key, 'together/m')).toEqual({ status: 200, with: OWN });
  expect(await ask(user.key, 'moonshotai/Kimi-K2.6')).toEqual({ status: 200, with: OWN });
  expect(await ask(server.apiKey, 'together/m')).toMatchObject({ status: 404 });
});

test('a provider that an admin disabled stays disabled for everybody; one that lost its last key does not', async () => {
  const user = await newUser();
  const { id } = await server.services.prisma.provider.findUniqueOrThrow({ where: { slug: 'mistral' } });
  const change = (input: object) =>
    mutate<{ provider: { isEnabled: boolean; isOpenToOwnKeys: boolean } }>(
      server,
      'updateProvider',
      { input: { id, ...input } },
      'provider { isEnabled isOpenToOwnKeys }',
    );
  await change({ baseUrl: upstream.url });
  await mutate(server, 'setProviderKey', { input: { provider: id, key: KEY } }, 'provider { id }');
  await setOwn(user, 'mistral');
  const [systemKey] = (
    await read<{ providerKeys: { id: string }[] }>(server, '{ providerKeys(provider: "mistral") { id } }')
  ).providerKeys;
  await mutate(server, 'deleteProviderKey', { id: systemKey?.id ?? '' }, 'id');
  expect(await ask(user.key, 'mistral/m')).toEqual({ status: 200, with: OWN });

  expect((await change({ isEnabled: false })).provider).toEqual({ isEnabled: false, isOpenToOwnKeys: false });
  expect(await ask(user.key, 'mistral/m')).toMatchObject({ status: 404 });
  expect((await change({ isOpenToOwnKeys: true })).provider).toEqual({ isEnabled: false, isOpenToOwnKeys: true });
  expect(await ask(user.key, 'mistral/m')).toEqual({ status: 200, with: OWN });
});

test('one that fails is not replaced by the system’s key; another provider takes over', async () => {
  await createProvider(server, 'strict', upstream.url);
  await createProvider(server, 'fallback', upstream.url, { apiKey: 'sk-fallback-0123456789' });
  const targets = [{ provider: 'strict', priority: 1 }, { provider: 'fallback' }];
  await mutate(server, 'createRoute', { input: { name: 'Strict', slug: 'strict-first', targets } }, 'route { id }');
  const user = await newUser();
  await setOwn(user, 'strict');
  refused = OWN;
  upstream.received.length = 0;
  expect(await ask(user.key, 'strict/m')).toMatchObject({ status: 502 });
  expect(await ask(user.key, 'strict/m')).toMatchObject({ status: 502 });
  expect(await ask(user.key, 'strict-first')).toEqual({ status: 200, with: 'sk-fallback-0123456789' });
  expect(upstream.received.map(({ headers }) => headers.authorization)).not.toContain(`Bearer ${KEY}`);
  expect(await ownKeys(user)).toMatchObject([{ restReason: 'REJECTED', restingUntil: expect.any(String) }]);
  refused = null;
  const { data } = await server.query<{ provider: { health: unknown } }, object>(
    '{ provider(id: "strict") { health { status } } }',
  );
  expect(data.provider.health).toBeNull();
});

test('one that cannot be decrypted fails, too, and so does one that was moved to another user', async () => {
  await createProvider(server, 'sealed', upstream.url);
  const owner = await newUser();
  const thief = await newUser();
  await setOwn(owner, 'sealed');
  await changeAccounts(server.services, async (tx, revision) => {
    await tx.userProviderKey.updateMany({ where: { userId: owner.id }, data: { userId: thief.id } });
    await tx.user.updateMany({ where: { id: { in: [owner.id, thief.id] } }, data: { revision } });
  });
  upstream.received.length = 0;
  expect(await ask(thief.key, 'sealed/m')).toMatchObject({ status: 404 });
  expect(upstream.received).toEqual([]);
  expect(await ask(owner.key, 'sealed/m')).toEqual({ status: 200, with: KEY });
});

test('the ledger tells that it was an own key', async () => {
  await createProvider(server, 'noted', upstream.url);
  const user = await newUser();
  await ask(user.key, 'noted/m');
  const { key } = await setOwn(user, 'noted');
  await ask(user.key, 'noted/m');
  await server.services.ledger.drained();
  const { data } = await server.query<{ requests: { nodes: { attempts: { usedOwnKey: boolean }[] }[] } }, object>(
    '{ requests(first: 2) { nodes { attempts { usedOwnKey } } } }',
    {},
    user,
  );
  expect(data.requests.nodes.map(({ attempts }) => attempts)).toEqual([
    [{ usedOwnKey: true }],
    [{ usedOwnKey: false }],
  ]);
  const { rows } = await server.services.pool.query('SELECT provider_key_id AS id FROM attempts WHERE used_own_key');
  expect(rows).toContainEqual({ id: key.id });
});

test('costs no query per request, and other servers use a change within a second', async () => {
  await createProvider(server, 'cached', upstream.url);
  const user = await newUser();
  const peer = await startPeer(server);
  try {
    expect(await ask(user.key, 'cached/m', peer.url)).toEqual({ status: 200, with: KEY });
    const { version } = server.services.snapshots.current;
    await setOwn(user, 'cached');
    await until(async () => (await ask(user.key, 'cached/m', peer.url)).with === OWN);
    expect(server.services.snapshots.current.version).toBe(version);
    const asked = vi.spyOn(peer.services.pool, 'query');
    for (let count = 0; count < 5; count++) await ask(user.key, 'cached/m', peer.url);
    const accountsRead = asked.mock.calls.filter(([sql]) => String(sql).includes('user_provider_keys'));
    expect(accountsRead).toEqual([]);
  } finally {
    await peer.close();
  }
});

test('goes with its provider and with its user', async () => {
  await createProvider(server, 'gone', upstream.url);
  const user = await newUser();
  await setOwn(user, 'gone');
  await mutate(server, 'deleteProvider', { id: 'gone' }, 'id');
  expect(await ownKeys(user)).toEqual([]);
  await createProvider(server, 'gone', upstream.url);
  await setOwn(user, 'gone');
  await server.services.prisma.user.delete({ where: { id: user.id } });
  expect(await server.services.prisma.userProviderKey.count({ where: { userId: user.id } })).toBe(0);
});

test('refuses what is no key, and a provider that is not there', async () => {
  const user = await newUser();
  expect(await setOwn(user, 'openai', 'with space')).toMatchObject({ code: 'VALIDATION' });
  expect(await setOwn(user, 'nobody')).toMatchObject({ code: 'PROVIDER_NOT_FOUND' });
  for (const nobody of ['nobody', '\0', '0197a3f0-0000-7000-8000-000000000000'])
    expect(await removeOwn(user, nobody)).toMatchObject({ code: 'NOT_FOUND' });
});
