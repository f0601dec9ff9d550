import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { executeWith } from '../execute.ts';

const KEY = 'sk-live-0123456789abcdefa1b2';
const PROVIDER = `id slug name kind baseUrl isEnabled isActive priority timeoutMs region version keyHint
  models { nodes { name displayName inputPrice outputPrice cacheReadPrice cacheWritePrice contextTokens maxOutputTokens isEnabled } }`;
const FAILURES = `... on Error { code message } ... on ValidationError { issues { path message } }`;

interface Provider {
  id: string;
  slug: string;
  version: number;
  models: { nodes: object[] };
  [field: string]: unknown;
}
interface Failure {
  code: string;
  message: string;
  issues?: { path: string; message: string }[];
}
type Outcome = { provider: Provider; active: Provider; previous: Provider | null; message: string } & Failure;

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

async function change(name: string, input: object): Promise<Outcome> {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const { data, errors } = await server.query<Record<string, Outcome>, object>(
    `mutation($input: ${type}Input!) { ${name}(input: $input) { ... on ${type}Success { provider { ${PROVIDER} } } ${FAILURES} } }`,
    { input },
  );
  expect(errors).toEqual([]);
  return data[name] as Outcome;
}

async function activate(id: string): Promise<Outcome> {
  const { data, errors } = await server.query<{ activateProvider: Outcome }, object>(
    `mutation($id: ID!) { activateProvider(id: $id) {
       ... on ActivateProviderSuccess { active { slug isActive } previous { slug isActive } switchedAt message } ${FAILURES} } }`,
    { id },
  );
  expect(errors).toEqual([]);
  return data.activateProvider;
}

async function find(id: string): Promise<Provider | null> {
  const { data } = await server.query<{ provider: Provider | null }, object>(
    `query($id: ID!) { provider(id: $id) { ${PROVIDER} } }`,
    { id },
  );
  return data.provider;
}

const version = () => server.services.snapshots.current.version;
let count = 0;
let slug: string;
beforeEach(() => {
  slug = `test-${count++}`;
});

describe('createProvider', () => {
  it('makes a provider with models and key that the next request can use', async () => {
    const models = [
      { name: 'm1', inputPrice: '0.4', outputPrice: '1.6', cacheReadPrice: '0.1', contextTokens: 1000 },
      { name: 'm2', displayName: 'Second' },
    ];
    const made = await change('createProvider', {
      name: `Mine ${slug}`,
      slug,
      baseUrl: 'HTTP://LOCALHOST:9/v1//',
      apiKey: KEY,
      models,
    });
    expect(made.provider).toMatchObject({
      slug,
      kind: 'CUSTOM',
      baseUrl: 'http://localhost:9/v1',
      isEnabled: true,
      isActive: false,
      priority: 100,
      timeoutMs: 600_000,
      region: null,
      version: 1,
      keyHint: 'sk-…a1b2',
    });
    expect(made.provider.models.nodes).toEqual([
      {
        name: 'm1',
        displayName: 'm1',
        inputPrice: '0.4',
        outputPrice: '1.6',
        cacheReadPrice: '0.1',
        cacheWritePrice: null,
        contextTokens: 1000,
        maxOutputTokens: null,
        isEnabled: true,
      },
      expect.objectContaining({ name: 'm2', displayName: 'Second', inputPrice: null }),
    ]);
    const entry = server.services.snapshots.current.providersBySlug.get(slug);
    expect(entry?.keys.map(({ secret }) => secret)).toEqual([KEY]);
    expect(await find(slug)).toEqual(await find(made.provider.id));
  });

  it('infers the kind from the address, then from the name', async () => {
    const byAddress = await change('createProvider', {
      name: `${slug} by address`,
      baseUrl: 'https://api.groq.com/openai/v1',
    });
    expect(byAddress.provider).toMatchObject({ kind: 'GROQ', isEnabled: false, keyHint: null });
    const byName = await change('createProvider', { name: 'Mistral', slug });
    expect(byName.provider).toMatchObject({ kind: 'MISTRAL', baseUrl: 'https://api.mistral.ai/v1' });
  });

  it('makes the slug from the name', async () => {
    const { provider } = await change('createProvider', { name: ` Größe & Co. ${slug} `, baseUrl: 'http://a.test' });
    expect(provider).toMatchObject({ slug: `gro-e-co-${slug}`, name: `Größe & Co. ${slug}` });
  });

  it('refuses a slug that is taken by a provider or a route, and leaves everything as it was', async () => {
    const before = version();
    for (const taken of ['openai', 'default']) {
      const refused = await change('createProvider', { name: 'X', slug: taken, baseUrl: 'http://a.test' });
      expect(refused).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(`"${taken}"`) });
    }
    const { version: stored } = await server.services.prisma.configuration.findUniqueOrThrow({ where: { id: 1 } });
    expect(stored).toBe(before);
  });

  it.each<[string, object, string[]]>([
    ['a name of control characters', { name: 'a\u0000b' }, ['name']],
    ['a long name', { name: 'x'.repeat(101) }, ['name']],
    ['an upper-case slug', { slug: 'ABC' }, ['slug']],
    ['a slug like an id', { slug: '0197a3f0-0000-7000-8000-000000000000' }, ['slug']],
    ['another protocol', { baseUrl: 'file:///etc/passwd' }, ['baseUrl']],
    ['no address at all', { baseUrl: 'api.example.com' }, ['baseUrl']],
    ['credentials in the address', { baseUrl: 'https://u:p@a.test/v1' }, ['baseUrl']],
    ['a query in the address', { baseUrl: 'https://a.test/v1?key=secret' }, ['baseUrl']],
    ['a fragment in the address', { baseUrl: 'https://a.test/v1#x' }, ['baseUrl']],
    ['a key with white space', { apiKey: `${KEY} ` }, ['apiKey']],
    ['a key that is too long', { apiKey: 'k'.repeat(4097) }, ['apiKey']],
    ['a negative priority', { priority: -1 }, ['priority']],
    ['a region of 51 characters', { region: 'x'.repeat(51) }, ['region']],
    ['a timeout under a second', { timeoutMs: 999 }, ['timeoutMs']],
    ['a negative price', { models: [{ name: 'm', inputPrice: '-1', outputPrice: '1' }] }, ['models.0.inputPrice']],
    [
      'a price too fine',
      { models: [{ name: 'm', inputPrice: '0.0000001', outputPrice: '1' }] },
      ['models.0.inputPrice'],
    ],
    ['half a price', { models: [{ name: 'm', outputPrice: '1' }] }, ['models.0.inputPrice']],
    ['a model twice', { models: [{ name: 'm' }, { name: 'm' }] }, ['models.1.name']],
    ['a model name with white space', { models: [{ name: 'a b' }] }, ['models.0.name']],
    ['a custom one without address', { baseUrl: null }, ['baseUrl']],
    ['an enabled one without the key it needs', { kind: 'OPENAI', isEnabled: true }, ['apiKey']],
  ])('refuses %s', async (_what, wrong, paths) => {
    const refused = await change('createProvider', { name: 'X', slug, baseUrl: 'https://a.test', ...wrong });
    expect(refused).toMatchObject({ code: 'VALIDATION' });
    expect(refused.issues?.map(({ path }) => path)).toEqual(paths);
    expect(JSON.stringify(refused)).not.toContain(KEY);
    expect(await find(slug)).toBeNull();
  });
});

describe('updateProvider', () => {
  async function make(more: object = {}): Promise<Provider> {
    return (await change('createProvider', { name: 'X', slug, baseUrl: 'https://a.test/v1', ...more })).provider;
  }

  it('changes what is named and leaves the rest', async () => {
    const { id, version } = await make({ priority: 7, models: [{ name: 'm', inputPrice: '1', outputPrice: '2' }] });
    const { provider } = await change('updateProvider', { id, version, name: 'Y', timeoutMs: 5_000, isEnabled: false });
    expect(provider).toMatchObject({
      name: 'Y',
      slug,
      baseUrl: 'https://a.test/v1',
      isEnabled: false,
      priority: 7,
      timeoutMs: 5_000,
      version: version + 1,
      models: { nodes: [{ name: 'm', inputPrice: '1' }] },
    });
    expect(server.services.snapshots.current.providersById.get(id)).toMatchObject({ name: 'Y', timeoutMs: 5_000 });
  });

  it('keeps its region until another is said, or none', async () => {
    const { id, region } = await make({ region: ' eu-west ' });
    expect(region).toBe('eu-west');
    const served = () => server.services.snapshots.current.providersById.get(id)?.region;
    expect(served()).toBe('eu-west');
    expect((await change('updateProvider', { id, priority: 8 })).provider.region).toBe('eu-west');
    expect((await change('updateProvider', { id, region: 'us' })).provider.region).toBe('us');
    expect((await change('updateProvider', { id, region: null })).provider.region).toBeNull();
    expect(served()).toBeNull();
  });

  it('adds new models behind the others and updates those that are named', async () => {
    const models = ['a', 'b'].map((name) => ({ name, inputPrice: '1', outputPrice: '2', contextTokens: 10 }));
    const { id, version } = await make({ models });
    const changes = [
      { name: 'c', inputPrice: '3', outputPrice: '4' },
      { name: 'b', inputPrice: null, outputPrice: null, isEnabled: false },
      { name: 'a', contextTokens: null, displayName: 'A' },
    ];
    const { provider } = await change('updateProvider', { id, version, models: changes });
    expect(provider.models.nodes).toMatchObject([
      { name: 'a', displayName: 'A', inputPrice: '1', contextTokens: null, isEnabled: true },
      { name: 'b', displayName: 'b', inputPrice: null, contextTokens: 10, isEnabled: false },
      { name: 'c', inputPrice: '3', outputPrice: '4' },
    ]);
  });

  it('refuses a stale version, and one of two who change the same version', async () => {
    const { id, version } = await make();
    const both = await Promise.all(['Y', 'Z'].map((name) => change('updateProvider', { id, version, name })));
    expect(both.filter(({ code }) => code === 'CONFLICT')).toHaveLength(1);
    const winner = both.find(({ provider }) => provider)?.provider;
    expect(await find(id)).toMatchObject({ name: winner?.name, version: version + 1 });
  });

  it('does not disable the active provider, nor enable one without its key', async () => {
    const sandbox = (await find('sandbox')) as Provider;
    const refused = await change('updateProvider', { id: sandbox.id, version: sandbox.version, isEnabled: false });
    expect(refused).toMatchObject({ code: 'VALIDATION', issues: [{ path: 'isEnabled' }] });
    expect(await find('sandbox')).toMatchObject({ isEnabled: true, version: sandbox.version });
    const openai = (await find('openai')) as Provider;
    const keyless = await change('updateProvider', { id: 'openai', version: openai.version, isEnabled: true });
    expect(keyless).toMatchObject({ code: 'VALIDATION', message: expect.stringContaining('setProviderKey') });
  });

  it('says which providers there are when there is no such one', async () => {
    for (const id of ['nobody', '\u0000', '0197a3f0-0000-7000-8000-000000000000', 'x'.repeat(9_999)]) {
      const refused = await change('updateProvider', { id, version: 1 });
      expect(refused).toMatchObject({ code: 'PROVIDER_NOT_FOUND', message: expect.stringContaining('openai') });
      expect(refused.message.length).toBeLessThan(1_000);
      expect(await find(id)).toBeNull();
    }
  });
});

describe('setProviderKey', () => {
  it('seals the key, shows only its hint, and enables the provider with its first one', async () => {
    expect(await find('cohere')).toMatchObject({ isEnabled: false, keyHint: null });
    const { provider } = await change('setProviderKey', { provider: 'cohere', key: KEY });
    expect(provider).toMatchObject({ isEnabled: true, keyHint: 'sk-…a1b2', version: 2 });
    const rows = await server.services.prisma.providerKey.findMany({ where: { providerId: provider.id } });
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain(KEY.slice(3, 12));
  });

  it('replaces the key, and leaves a provider disabled that somebody has disabled', async () => {
    const { provider } = await change('setProviderKey', { provider: 'together', key: KEY });
    await change('updateProvider', { id: provider.id, version: provider.version, isEnabled: false });
    const second = await change('setProviderKey', { provider: 'together', key: 'tg-another-key-9999' });
    expect(second.provider).toMatchObject({ isEnabled: false, keyHint: 'tg-…9999' });
    const entry = server.services.snapshots.current.providersBySlug.get('together');
    expect(entry?.keys.map(({ secret }) => secret)).toEqual(['tg-another-key-9999']);
  });

  it('does not repeat a key that it refuses', async () => {
    const refused = await change('setProviderKey', { provider: 'openai', key: `${KEY}\n` });
    expect(refused).toMatchObject({ code: 'VALIDATION', issues: [{ path: 'key' }] });
    expect(JSON.stringify(refused)).not.toContain(KEY);
    expect(await find('openai')).toMatchObject({ keyHint: null });
  });
});

describe('activateProvider', () => {
  it('switches, tells the previous one, and clears the targets of the route default', async () => {
    const made = await change('createProvider', { name: 'X', slug, baseUrl: 'http://a.test' });
    const route = await server.services.prisma.route.findUniqueOrThrow({ where: { slug: 'default' } });
    await server.services.prisma.routeTarget.create({ data: { routeId: route.id, providerId: made.provider.id } });
    const switched = await activate(slug);
    expect(switched).toMatchObject({
      active: { slug, isActive: true },
      previous: { slug: 'sandbox', isActive: false },
      message: 'The route "default" now sends to X.',
    });
    expect(server.services.snapshots.current.activeProviderId).toBe(made.provider.id);
    expect(await server.services.prisma.routeTarget.count()).toBe(0);
    expect(await activate('sandbox')).toMatchObject({ previous: { slug } });
  });

  it('refuses a provider that lacks its key, is disabled, or does not exist, and says what to do', async () => {
    expect(await activate('anthropic')).toMatchObject({
      code: 'VALIDATION',
      message: expect.stringContaining('setProviderKey'),
    });
    await change('createProvider', { name: 'X', slug, baseUrl: 'http://a.test', isEnabled: false });
    expect(await activate(slug)).toMatchObject({
      code: 'VALIDATION',
      message: expect.stringContaining('updateProvider'),
    });
    expect(await activate('nobody')).toMatchObject({ code: 'PROVIDER_NOT_FOUND' });
    expect(await find('sandbox')).toMatchObject({ isActive: true });
  });
});

describe('providers', () => {
  it('lists them in the order in which they are tried', async () => {
    const { data } = await server.query<{ providers: Provider[] }, object>('{ providers { slug priority } }');
    const priorities = data.providers.map(({ priority }) => priority as number);
    expect(priorities).toEqual([...priorities].sort((a, b) => a - b));
    expect(data.providers.length).toBeGreaterThanOrEqual(10);
  });

  it('cost a fixed number of statements, however many there are', async () => {
    const statements: string[] = [];
    const connection = parseDatabaseUrl(server.services.settings.databaseUrl ?? '');
    const prisma = createPrisma(connection, 1, (sql) => statements.push(sql));
    const counts: number[] = [];
    for (let round = 0; round < 2; round++) {
      statements.length = 0;
      const { data, errors } = await executeWith(server, { prisma }, `{ providers { ${PROVIDER} } }`);
      expect(errors).toBeUndefined();
      expect(data?.providers).not.toEqual([]);
      counts.push(statements.length);
      const models = [{ name: 'm', inputPrice: `${round}.5`, outputPrice: '1' }];
      await change('createProvider', { name: 'X', slug: `${slug}-${round}`, baseUrl: 'http://a.test', models });
    }
    await prisma.$disconnect();
    expect(counts[0]).toBe(counts[1]);
    expect(counts[0]).toBeLessThanOrEqual(4);
  });

  it('are for admins only, keys or not', async () => {
    for (const credential of [{}, { apiKey: 'sbx_wrong' }]) {
      const { data, errors } = await server.query('{ providers { slug } }', {}, credential);
      expect(data ?? null).toBeNull();
      expect(errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
    }
  });
});
