import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ConfigurationEvent } from '../../../src/control/schema/change-configuration.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

const MODEL = `id slug name displayName description providerSlug inputPrice outputPrice cacheReadPrice cacheWritePrice
  contextTokens maxOutputTokens quality isEnabled version createdAt updatedAt`;
const FAILURES = '... on Error { code message }';
const DETAILS: Record<string, string> = {
  createModel: '... on ValidationError { issues { path } } ... on ProviderNotFoundError { availableProviders }',
  updateModel: '... on ValidationError { issues { path } } ... on ModelNotFoundError { nearest }',
  deleteModel: '... on ModelNotFoundError { nearest }',
};

interface Model {
  id: string;
  slug: string;
  version: number;
  updatedAt: string;
  [field: string]: unknown;
}
type Outcome = { model: Model } & {
  code: string;
  message: string;
  nearest: string[];
  availableProviders: string[];
  issues: { path: string }[];
};

let server: TestServer;
let provider: string;
let count = 0;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  provider = `p-${count++}`;
  await server.query(
    'mutation($slug: String) { createProvider(input: { name: "P", slug: $slug, baseUrl: "http://127.0.0.1:9" }) { __typename } }',
    { slug: provider },
  );
});

async function mutate(name: string, type: string, variable: unknown): Promise<Outcome> {
  const argument = type === 'ID!' ? 'id' : 'input';
  const { data, errors } = await server.query<Record<string, Outcome>, object>(
    `mutation($it: ${type}) { ${name}(${argument}: $it) {
       ... on ${name.charAt(0).toUpperCase()}${name.slice(1)}Success { model { ${MODEL} } } ${FAILURES} ${DETAILS[name]} } }`,
    { it: variable },
  );
  expect(errors).toEqual([]);
  return data[name] as Outcome;
}

const create = (input: object = {}) => mutate('createModel', 'CreateModelInput!', { provider, name: 'm', ...input });
const update = (input: object) => mutate('updateModel', 'UpdateModelInput!', { id: `${provider}/m`, ...input });
const remove = (id: string) => mutate('deleteModel', 'ID!', id);

async function find(id: string): Promise<Model | null> {
  const query = `query($id: ID!) { model(id: $id) { ${MODEL} } }`;
  const { data } = await server.query<{ model: Model | null }, object>(query, { id });
  return data.model;
}

const entry = () =>
  server.services.snapshots.current.providersBySlug.get(provider)?.models.find(({ name }) => name === 'm');
const version = () => server.services.snapshots.current.version;

async function lastChanges() {
  const event = await server.services.prisma.event.findFirstOrThrow({ orderBy: { seq: 'desc' } });
  return (event.payload as unknown as ConfigurationEvent).changes;
}

describe('createModel', () => {
  it('adds a model that the gateway serves at once, and tells of it', async () => {
    const { model } = await create({
      description: ' Two\nlines. ',
      inputPrice: '0.4',
      outputPrice: '1.6',
      cacheReadPrice: '0.1',
      contextTokens: 1_000,
      maxOutputTokens: 100,
      quality: 100,
    });
    expect(model).toMatchObject({
      slug: `${provider}/m`,
      name: 'm',
      displayName: 'm',
      description: 'Two\nlines.',
      providerSlug: provider,
      inputPrice: '0.4',
      outputPrice: '1.6',
      cacheReadPrice: '0.1',
      cacheWritePrice: null,
      contextTokens: 1_000,
      maxOutputTokens: 100,
      quality: 100,
      isEnabled: true,
      version: 1,
    });
    expect(entry()).toMatchObject({ id: model.id, price: { components: { input: 400_000, output: 1_600_000 } } });
    expect(await find(model.id)).toEqual(model);
    expect(await lastChanges()).toEqual([{ action: 'CREATED', subject: 'MODEL', id: model.id, name: `${provider}/m` }]);
  });

  it('puts it behind the others, so that the default model of the provider stays the same', async () => {
    for (const name of ['z', 'm', 'a']) await create({ name });
    const models = server.services.snapshots.current.providersBySlug.get(provider)?.models;
    expect(models?.map(({ name }) => name)).toEqual(['z', 'm', 'a']);
  });

  it('refuses a name that is taken at this provider, and no other', async () => {
    const { model } = await create();
    const before = version();
    expect(await create({ displayName: 'Second' })).toMatchObject({
      code: 'CONFLICT',
      message: `The provider "${provider}" has a model "m" already.`,
    });
    expect(await find(model.id)).toEqual(model);
    expect(version()).toBe(before);
    expect((await create({ name: 'M' })).model.slug).toBe(`${provider}/M`);
    expect((await create({ provider: 'cohere' })).model.slug).toBe('cohere/m');
    expect((await remove('cohere/m')).model).toBeDefined();
  });

  it('says which providers there are when there is no such one', async () => {
    const refused = await create({ provider: 'nobody\0' });
    expect(refused).toMatchObject({ code: 'PROVIDER_NOT_FOUND' });
    expect(refused.availableProviders).toContain(provider);
  });

  it('lets one of two who add the same model at once have it', async () => {
    const both = await Promise.all([create(), create()]);
    expect(both.map(({ code }) => code).filter(Boolean)).toEqual(['CONFLICT']);
  });

  it.each<[string, object, string[]]>([
    ['a name with white space', { name: 'a b' }, ['name']],
    ['a name that is not ASCII', { name: 'größe' }, ['name']],
    ['no name', { name: '' }, ['name']],
    ['a display name of nothing', { displayName: ' ' }, ['displayName']],
    ['a description with control characters', { description: 'a\u0000b' }, ['description']],
    ['a long description', { description: 'x'.repeat(2_001) }, ['description']],
    ['half a price', { outputPrice: '1' }, ['inputPrice']],
    ['the other half', { inputPrice: '1' }, ['outputPrice']],
    ['a cache price alone', { cacheWritePrice: '1' }, ['inputPrice']],
    ['a negative price', { inputPrice: '-1', outputPrice: '1' }, ['inputPrice']],
    ['a price too fine', { inputPrice: '0.0000001', outputPrice: '1' }, ['inputPrice']],
    ['no context', { contextTokens: 0 }, ['contextTokens']],
  ])('refuses %s', async (_what, wrong, paths) => {
    const before = version();
    const refused = await create(wrong);
    expect(refused).toMatchObject({ code: 'VALIDATION' });
    expect(refused.issues.map(({ path }) => path)).toEqual(paths);
    expect(version()).toBe(before);
    expect(entry()).toBeUndefined();
  });
});

describe('updateModel', () => {
  it('changes what is named, leaves the rest, and tells of it', async () => {
    const made = await create({ inputPrice: '1', outputPrice: '2', cacheReadPrice: '0.5', contextTokens: 10 });
    const { model } = await update({ version: 1, description: 'New', isEnabled: false });
    expect(model).toEqual({
      ...made.model,
      description: 'New',
      isEnabled: false,
      version: 2,
      updatedAt: expect.any(String),
    });
    expect(Date.parse(model.updatedAt)).toBeGreaterThan(Date.parse(made.model.updatedAt));
    expect(entry()).toMatchObject({ isEnabled: false, contextTokens: 10 });
    expect(await lastChanges()).toEqual([{ action: 'UPDATED', subject: 'MODEL', id: model.id, name: `${provider}/m` }]);
  });

  it('keeps its quality until another is said, or none; the input of its provider says it too', async () => {
    await create({ quality: 71 });
    expect(entry()?.quality).toBe(71);
    expect((await update({ description: 'New' })).model.quality).toBe(71);
    expect((await update({ quality: 0 })).model.quality).toBe(0);
    expect((await update({ quality: null })).model.quality).toBeNull();
    expect(entry()?.quality).toBeNull();
    await server.query(
      'mutation($id: ID!) { updateProvider(input: { id: $id, models: [{ name: "m", quality: 9 }] }) { __typename } }',
      { id: provider },
    );
    expect((await find(`${provider}/m`))?.quality).toBe(9);
    for (const quality of [-1, 101]) expect((await update({ quality })).issues).toEqual([{ path: 'quality' }]);
  });

  it('replaces all prices together, and forgets what is null', async () => {
    await create({ inputPrice: '1', outputPrice: '2', cacheReadPrice: '0.5', contextTokens: 10, description: 'Old' });
    const { model } = await update({ inputPrice: '3', outputPrice: '4', contextTokens: null, description: null });
    expect(model).toMatchObject({ inputPrice: '3', outputPrice: '4', cacheReadPrice: null });
    expect(model).toMatchObject({ contextTokens: null, description: null, displayName: 'm' });
    expect((await update({ inputPrice: null, outputPrice: null })).model).toMatchObject({ inputPrice: null });
    expect(entry()?.price).toBeNull();
  });

  it('refuses a stale version, and one of two who change the same one', async () => {
    await create();
    const both = await Promise.all(['Y', 'Z'].map((displayName) => update({ version: 1, displayName })));
    expect(both.map(({ code }) => code).filter(Boolean)).toEqual(['CONFLICT']);
    const winner = both.find(({ model }) => model)?.model;
    expect(await find(`${provider}/m`)).toEqual(winner);
    expect(winner?.version).toBe(2);
  });

  it('sees what updateProvider did to the model', async () => {
    const { model } = await create();
    await server.query(
      'mutation($id: ID!) { updateProvider(input: { id: $id, models: [{ name: "m", description: "D" }] }) { __typename } }',
      { id: provider },
    );
    expect(await find(model.id)).toMatchObject({ description: 'D', version: 2 });
    expect(await update({ version: 1, displayName: 'Stale' })).toMatchObject({ code: 'CONFLICT' });
  });

  it('says what looks like it when there is no such model, and never fails on a strange id', async () => {
    await create();
    const before = version();
    const refused = await update({ id: `${provider}/n` });
    expect(refused).toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(refused.nearest).toContain(`${provider}/m`);
    for (const id of ['', '\0', 'm', `${provider}/`, '0197a3f0-0000-7000-8000-000000000000', 'x'.repeat(9_999)])
      expect(await update({ id, isEnabled: false })).toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(version()).toBe(before);
  });
});

describe('deleteModel', () => {
  it('takes the model away, keeps its price for the ledger, and tells of it', async () => {
    const { model } = await create({ inputPrice: '7', outputPrice: '77' });
    const price = entry()?.price?.id ?? '';
    expect((await remove(model.slug)).model).toEqual(model);
    expect(await find(model.id)).toBeNull();
    expect(entry()).toBeUndefined();
    expect(await server.services.prisma.priceVersion.findUnique({ where: { id: price } })).not.toBeNull();
    expect(await lastChanges()).toEqual([{ action: 'DELETED', subject: 'MODEL', id: model.id, name: model.slug }]);
    expect(await remove(model.id)).toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('is refused while targets name the model, with the names of their routes', async () => {
    const { model } = await create();
    const { prisma } = server.services;
    const { providerId } = await prisma.model.findUniqueOrThrow({ where: { id: model.id } });
    for (const [slug, models] of [
      ['r-b', ['x', 'm']],
      ['r-a', ['m']],
      ['r-none', ['x']],
      ['r-all', []],
    ] as const) {
      const targets = { create: [{ providerId, models: [...models] }] };
      await prisma.route.create({ data: { slug, name: slug, targets } });
    }
    const before = version();
    expect(await remove(model.slug)).toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('the routes "r-a", "r-b"; take it out of them first'),
    });
    expect(await find(model.id)).toEqual(model);
    expect(version()).toBe(before);
    await prisma.route.deleteMany({ where: { slug: { in: ['r-a', 'r-b'] } } });
    expect((await remove(model.slug)).model).toEqual(model);
  });
});

it('changes of the catalog are for admins only', async () => {
  const { model } = await create();
  for (const mutation of [
    `createModel(input: { provider: "${provider}", name: "x" })`,
    `updateModel(input: { id: "${model.id}", isEnabled: false })`,
    `deleteModel(id: "${model.id}")`,
  ]) {
    const { errors } = await server.query(`mutation { ${mutation} { __typename } }`, {}, {});
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['UNAUTHENTICATED']);
  }
  expect(await find(model.id)).toEqual(model);
  expect(await find(`${provider}/x`)).toBeNull();
});
