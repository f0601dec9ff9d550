import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SeedParts } from '../../src/control/seed/parts.ts';
import { seed } from '../../src/control/seed.ts';
import { systemKeyContext } from '../../src/gateway/snapshot/seal-context.ts';
import { EMBEDDING_MODEL, SANDBOX_MODELS } from '../../src/gateway/upstream/sandbox/models.ts';
import { hashApiKey, SecretBox } from '../../src/platform/crypto.ts';
import { createPrisma } from '../../src/platform/database/prisma.ts';
import { createLog } from '../../src/platform/log.ts';
import { readSettings } from '../../src/platform/settings.ts';
import { createDatabase, type TestDatabase } from '../kit/database.ts';

const logged: string[] = [];
const databases: TestDatabase[] = [];
const closers: (() => Promise<void>)[] = [];

async function freshParts(env: Record<string, string> = {}): Promise<SeedParts> {
  const database = await createDatabase();
  databases.push(database);
  const prisma = createPrisma(database.connection, 4);
  closers.push(() => prisma.$disconnect());
  return {
    prisma,
    secretBox: new SecretBox(new Map([[1, Buffer.alloc(32, 7)]])),
    settings: readSettings(env),
    log: createLog({ logLevel: 'trace' }, { write: (line) => logged.push(line) }),
  };
}

afterAll(async () => {
  for (const close of closers) await close();
  for (const database of databases) await database.drop();
});

describe('an empty database', () => {
  let parts: SeedParts;
  let result: Awaited<ReturnType<typeof seed>>;
  beforeAll(async () => {
    parts = await freshParts({ GROQ_API_KEY: 'gsk_1234567890abcdef', OPENAI_API_KEY: 'not a key' });
    result = await seed(parts);
  });

  it('gets an admin and an admin API key that are told once', async () => {
    expect(result.adminPassword).toMatch(/^.{16,}$/);
    const key = await parts.prisma.apiKey.findUniqueOrThrow({
      where: { hash: new Uint8Array(hashApiKey(result.apiKey ?? '')) },
      include: { owner: true },
    });
    expect(key).toMatchObject({ isAdmin: true, owner: { email: 'admin@signalbox.local', role: 'ADMIN' } });
    expect(key.hint).toBe(`sbx_…${result.apiKey?.slice(-4)}`);
  });

  it('gets the sandbox as its active provider, with all models that the sandbox plays', async () => {
    const { activeProviderId } = await parts.prisma.configuration.findUniqueOrThrow({ where: { id: 1 } });
    const sandbox = await parts.prisma.provider.findUniqueOrThrow({
      where: { slug: 'sandbox' },
      include: { models: { orderBy: { position: 'asc' } } },
    });
    expect(sandbox).toMatchObject({ id: activeProviderId, isEnabled: true, kind: 'SANDBOX' });
    expect(sandbox.models.map(({ name }) => name)).toEqual([...SANDBOX_MODELS.map(({ id }) => id), EMBEDDING_MODEL.id]);
    expect(sandbox.models.every(({ priceVersionId }) => priceVersionId)).toBe(true);
  });

  it('gets a provider for each main kind, enabled where the environment has its key', async () => {
    const providers = await parts.prisma.provider.findMany({ include: { keys: true, models: true } });
    const sandboxes = providers.filter(({ kind }) => kind === 'SANDBOX');
    expect(sandboxes.map(({ dialect }) => dialect).sort()).toEqual(['ANTHROPIC', 'GEMINI', null]);
    // Each of the others has a kind of its own.
    expect(new Set(providers.map(({ kind }) => kind)).size).toBe(providers.length - 2);
    expect(providers).toHaveLength(12);
    expect(
      providers
        .filter(({ isEnabled }) => isEnabled)
        .map(({ slug }) => slug)
        .sort(),
    ).toEqual(['groq', 'sandbox', 'sandbox-anthropic', 'sandbox-gemini']);
    for (const { models } of providers) expect(models.length).toBeGreaterThan(1);
    const [key] = providers.find(({ slug }) => slug === 'groq')?.keys ?? [];
    expect(key?.hint).toBe('gsk_…cdef');
    expect(Buffer.from(key?.ciphertext ?? []).toString('latin1')).not.toContain('gsk_');
    expect(logged.join()).toContain('OPENAI_API_KEY does not look like a key');
    expect(logged.join()).not.toMatch(/not a key|gsk_/);
    expect(key && parts.secretBox.open(key, systemKeyContext(key))).toBe('gsk_1234567890abcdef');
  });

  it('gets the route default without targets', async () => {
    const routes = await parts.prisma.route.findMany({ include: { targets: true } });
    expect(routes).toMatchObject([{ slug: 'default', targets: [] }]);
  });

  it('is left alone the second time', async () => {
    const before = await parts.prisma.configuration.findUniqueOrThrow({ where: { id: 1 } });
    expect(await seed(parts)).toEqual({ adminEmail: 'admin@signalbox.local', adminPassword: null, apiKey: null });
    expect(await parts.prisma.configuration.findUniqueOrThrow({ where: { id: 1 } })).toEqual(before);
    expect(await parts.prisma.user.count()).toBe(1);
  });
});

it('is seeded once when several servers start at the same time', async () => {
  const parts = await freshParts();
  const results = await Promise.all([seed(parts), seed(parts), seed(parts)]);
  expect(results.filter(({ apiKey }) => apiKey)).toHaveLength(1);
  expect(await parts.prisma.provider.count()).toBe(12);
});

it('takes the password and the key from the settings, and does not repeat them', async () => {
  const apiKey = `sbx_${'b'.repeat(40)}`;
  const parts = await freshParts({ ADMIN_PASSWORD: 'a long password', BOOTSTRAP_API_KEY: apiKey });
  expect(await seed(parts)).toMatchObject({ adminPassword: null, apiKey: null });
  const hash = new Uint8Array(hashApiKey(apiKey));
  expect(await parts.prisma.apiKey.findUnique({ where: { hash } })).toMatchObject({ isAdmin: true });
});
