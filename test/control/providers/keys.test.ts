import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDatabaseUrl } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { executeWith } from '../execute.ts';
import { createProvider, KEY, mutate, read } from './kit.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

interface Key {
  id: string;
  hint: string;
  createdAt: string;
  provider: { slug: string };
}

const KEYS = 'id hint createdAt provider { slug }';
const keysOf = async (provider?: string) => {
  const argument = provider === undefined ? '' : `(provider: ${JSON.stringify(provider)})`;
  return (await read<{ providerKeys: Key[] }>(server, `{ providerKeys${argument} { ${KEYS} } }`)).providerKeys;
};
const remove = (id: string) =>
  mutate<{ id: string; provider: { slug: string; isEnabled: boolean; keyHint: string | null; version: number } }>(
    server,
    'deleteProviderKey',
    { id },
    'id provider { slug isEnabled keyHint version }',
  );
const setKey = (provider: string, key: string) =>
  mutate(server, 'setProviderKey', { input: { provider, key } }, 'provider { slug }');

test('lists the keys masked, of one provider or of all', async () => {
  const id = await createProvider(server, 'listed', 'http://a.test/v1', { priority: 1 });
  await setKey('groq', 'gsk_0123456789abcdefc3d4');
  const all = await keysOf();
  expect(all.map(({ hint, provider }) => [provider.slug, hint])).toEqual([
    ['listed', 'sk-…a1b2'],
    ['groq', 'gsk_…c3d4'],
  ]);
  expect(await keysOf('listed')).toEqual([all[0]]);
  expect(await keysOf(id)).toEqual([all[0]]);
  expect(await keysOf('openai')).toEqual([]);
  for (const nobody of ['nobody', '\0', '0197a3f0-0000-7000-8000-000000000000'])
    expect(await keysOf(nobody)).toEqual([]);
  expect(JSON.stringify(all)).not.toContain(KEY.slice(3, -4));
});

test('cost a fixed number of statements, however many there are', async () => {
  const statements: string[] = [];
  const connection = parseDatabaseUrl(server.services.settings.databaseUrl ?? '');
  const prisma = createPrisma(connection, 1, (sql) => statements.push(sql));
  const counts: number[] = [];
  for (const slug of ['mistral', 'together']) {
    statements.length = 0;
    const { data, errors } = await executeWith(server, { prisma }, `{ providerKeys { ${KEYS} } }`);
    expect(errors).toBeUndefined();
    expect(data?.providerKeys).not.toEqual([]);
    counts.push(statements.length);
    await setKey(slug, KEY);
  }
  await prisma.$disconnect();
  expect(counts).toEqual([2, 2]);
});

test('a provider that needs a key is disabled with its last one, and enabled again by the next', async () => {
  await setKey('cohere', KEY);
  const [key] = await keysOf('cohere');
  const { version } = await server.services.prisma.provider.findUniqueOrThrow({ where: { slug: 'cohere' } });
  expect(await remove(key?.id ?? '')).toMatchObject({
    id: key?.id,
    provider: { slug: 'cohere', isEnabled: false, keyHint: null, version: version + 1 },
  });
  expect(await keysOf('cohere')).toEqual([]);
  expect(server.services.snapshots.current.providersBySlug.get('cohere')).toMatchObject({ isEnabled: false, keys: [] });
  await setKey('cohere', KEY);
  expect(server.services.snapshots.current.providersBySlug.get('cohere')).toMatchObject({ isEnabled: true });
});

test('a provider that works without a key stays enabled', async () => {
  await createProvider(server, 'local', 'http://a.test/v1');
  const [key] = await keysOf('local');
  expect(await remove(key?.id ?? '')).toMatchObject({ provider: { slug: 'local', isEnabled: true, keyHint: null } });
});

test('the active provider keeps the key that it needs', async () => {
  await setKey('openai', KEY);
  await mutate(server, 'activateProvider', { id: 'openai' }, 'message');
  const before = server.services.snapshots.current.version;
  const [key] = await keysOf('openai');
  expect(await remove(key?.id ?? '')).toMatchObject({
    code: 'CONFLICT',
    message: expect.stringMatching(/"openai" is the active one.*activate another one first.*setProviderKey/),
  });
  expect(await keysOf('openai')).toEqual([key]);
  expect(server.services.snapshots.current.version).toBe(before);
  await mutate(server, 'activateProvider', { id: 'sandbox' }, 'message');
  expect(await remove(key?.id ?? '')).toMatchObject({ provider: { isEnabled: false } });
});

test.each(['nobody', '\0', '0197a3f0-0000-7000-8000-000000000000'])('there is no key %j to delete', async (id) => {
  const before = server.services.snapshots.current.version;
  expect(await remove(id)).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('providerKeys') });
  expect(server.services.snapshots.current.version).toBe(before);
});
