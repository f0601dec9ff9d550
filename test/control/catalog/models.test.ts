import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { executeWith } from '../execute.ts';

const SIGNED_OUT = {};

interface Page {
  nodes: { name: string; [field: string]: unknown }[];
  totalCount: number;
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

let server: TestServer;
let firstId: string;
beforeAll(async () => {
  server = await startServer();
  await fill();
});
afterAll(() => server.close());

/** Two providers with the same names; prices in picodollars per token, where $1 per 1M tokens is a million. */
async function fill(): Promise<void> {
  const { prisma } = server.services;
  const prices = [0, 1_000_000, 2_500_000].map((input) => priceVersion({ input, output: input * 4 }));
  await prisma.priceVersion.createMany({
    data: prices.map(({ id, components }) => ({ id, components: { ...components } })),
    skipDuplicates: true,
  });
  for (const slug of ['first', 'second']) {
    const { id: providerId } = await prisma.provider.create({
      data: { slug, name: `The ${slug}`, kind: 'CUSTOM', baseUrl: 'http://127.0.0.1:9' },
    });
    firstId ??= providerId;
    await prisma.model.createMany({
      data: [
        { name: 'Zebra', displayName: 'Black 100%_white', priceVersionId: prices[1]?.id ?? null, contextTokens: 8_000 },
        { name: 'ape', displayName: 'Primate', priceVersionId: prices[2]?.id ?? null, contextTokens: 32_000 },
        { name: 'bear', displayName: 'Ursus', description: 'Sleeps in WINTER.', isEnabled: false },
        { name: 'free', displayName: 'Free', priceVersionId: prices[0]?.id ?? null },
      ].map((model, position) => ({
        ...model,
        providerId,
        position,
        createdAt: new Date(Date.UTC(2026, 0, 9 - position)),
      })),
    });
  }
}

async function list(args: string, selection = 'name', credential?: object) {
  return server.query<{ models: Page }, object>(
    `{ models(${args}) { nodes { ${selection} } totalCount pageInfo { hasNextPage endCursor } } }`,
    {},
    credential ?? SIGNED_OUT,
  );
}

const names = async (args: string) => (await list(args)).data.models.nodes.map(({ name }) => name);

describe('models', () => {
  it('shows everybody what may be known of a model and its provider', async () => {
    const { data, errors } = await list(
      'filter: { provider: "first", search: "zebra" }',
      `id slug name displayName description providerSlug providerName providerKind inputPrice outputPrice
       cacheReadPrice cacheWritePrice contextTokens maxOutputTokens isEnabled version createdAt`,
    );
    expect(errors).toEqual([]);
    expect(data.models).toEqual({
      nodes: [
        {
          id: expect.any(String),
          slug: 'first/Zebra',
          name: 'Zebra',
          displayName: 'Black 100%_white',
          description: null,
          providerSlug: 'first',
          providerName: 'The first',
          providerKind: 'CUSTOM',
          inputPrice: '1',
          outputPrice: '4',
          cacheReadPrice: null,
          cacheWritePrice: null,
          contextTokens: 8_000,
          maxOutputTokens: null,
          isEnabled: true,
          version: 1,
          createdAt: '2026-01-09T00:00:00.000Z',
        },
      ],
      totalCount: 1,
      pageInfo: { hasNextPage: false, endCursor: expect.any(String) },
    });
  });

  it('are sorted by name, upper and lower case alike, where nothing else is asked for', async () => {
    expect(await names('filter: { provider: "first" }')).toEqual(['ape', 'bear', 'free', 'Zebra']);
    const { data } = await list('first: 100', 'id name');
    const keys = data.models.nodes.map(({ name, id }) => `${name.toLowerCase()} ${id}`);
    expect(keys.length).toBeGreaterThan(20);
    expect(keys).toEqual([...keys].sort());
  });

  it.each([
    ['NAME', 'DESC', ['Zebra', 'free', 'bear', 'ape']],
    ['CREATED_AT', 'ASC', ['free', 'bear', 'ape', 'Zebra']],
    ['CREATED_AT', 'DESC', ['Zebra', 'ape', 'bear', 'free']],
    ['INPUT_PRICE', 'ASC', ['free', 'Zebra', 'ape', 'bear']],
    ['INPUT_PRICE', 'DESC', ['ape', 'Zebra', 'free', 'bear']],
    ['OUTPUT_PRICE', 'DESC', ['ape', 'Zebra', 'free', 'bear']],
    ['CONTEXT_TOKENS', 'ASC', ['Zebra', 'ape', 'bear', 'free']],
    ['CONTEXT_TOKENS', 'DESC', ['ape', 'Zebra', 'free', 'bear']],
  ])('are sorted by %s %s, the unknown last', async (field, direction, expected) => {
    const args = `filter: { provider: "first" }, orderBy: { field: ${field}, direction: ${direction} }`;
    expect(await names(args)).toEqual(expected);
  });

  it.each([
    ['the provider by id', () => `provider: "${firstId}"`, 4],
    ['no such provider', () => 'provider: "nobody"', 0],
    ['a provider that cannot be', () => 'provider: "a\\u0000b"', 0],
    ['the display name', () => 'search: "PRIMATE"', 2],
    ['the description', () => 'search: "in winter"', 2],
    ['what a pattern is written with', () => 'search: "100%_w"', 2],
    ['a pattern that is none', () => 'search: "Bl%ck"', 0],
    ['what Postgres cannot hold', () => 'search: "\\u0000"', 0],
    ['what is disabled', () => 'isEnabled: false, search: "bear"', 2],
    ['what is enabled', () => 'isEnabled: true, search: "bear"', 0],
    ['what has a price', () => 'isPriced: true, search: "ursus"', 0],
    ['what has none', () => 'isPriced: false, search: "ursus"', 2],
    ['a long context', () => 'minContextTokens: 32000, search: "primate"', 2],
    ['a longer context', () => 'minContextTokens: 32001, search: "primate"', 0],
    ['an input price', () => 'maxInputPrice: "2.5", search: "primate"', 2],
    ['a lower input price', () => 'maxInputPrice: "2.499999999999", search: "primate"', 0],
    ['an output price', () => 'maxOutputPrice: "10", search: "primate"', 2],
    ['a lower output price', () => 'maxOutputPrice: "9.999999999999", search: "primate"', 0],
    ['a price, of the unpriced', () => 'maxInputPrice: "999999", search: "ursus"', 0],
  ])('are filtered by %s', async (_what, filter, count) => {
    const { data, errors } = await list(`filter: { ${filter()} }`);
    expect(errors).toEqual([]);
    expect(data.models.nodes.length).toBe(data.models.totalCount);
    expect(data.models.totalCount).toBe(count);
  });

  it.each([
    ['a search that is too long', `filter: { search: "${'x'.repeat(201)}" }`, 'filter.search'],
    ['a negative price', 'filter: { maxInputPrice: "-1" }', 'filter.maxInputPrice'],
    ['a negative context', 'filter: { minContextTokens: -1 }', 'filter.minContextTokens'],
    ['a page of none', 'first: 0', 'first'],
    ['a page that is too large', 'first: 101', 'first'],
    ['a cursor that is none', 'after: "nonsense"', 'after'],
  ])('refuse %s', async (_what, args, path) => {
    const { errors } = await list(args);
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['VALIDATION']);
    expect(errors[0]?.message).toContain(`${path}: `);
  });

  it('refuse a cursor of another order, and go on behind the same one in their own', async () => {
    const args = 'filter: { provider: "first" }, first: 3, orderBy: { field: INPUT_PRICE }';
    const { data } = await list(args);
    const after = `, after: "${data.models.pageInfo.endCursor}"`;
    expect(await names(args + after)).toEqual(['bear']);
    for (const other of ['{ field: INPUT_PRICE, direction: DESC }', '{ field: OUTPUT_PRICE }', '{ field: NAME }']) {
      const { errors } = await list(args.replace('{ field: INPUT_PRICE }', other) + after);
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['VALIDATION']);
    }
  });

  it('take no cursor whose value they could not have given', async () => {
    const made = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
    const id = '0197a3f0-0000-7000-8000-000000000000';
    for (const [field, value] of [
      ['INPUT_PRICE', 'dear'],
      ['INPUT_PRICE', '9'.repeat(30)],
      ['NAME', '\0'],
    ] as const) {
      const { errors } = await list(`orderBy: { field: ${field} }, after: "${made(`${field} ASC`, value, id)}"`);
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['VALIDATION']);
    }
  });
});

describe('model', () => {
  const find = async (id: string) => {
    const query = 'query($id: ID!) { model(id: $id) { id slug name } }';
    const { data, errors } = await server.query<{ model: { id: string; slug: string } | null }, object>(
      query,
      { id },
      SIGNED_OUT,
    );
    expect(errors).toEqual([]);
    return data.model;
  };

  it('is found by its slug and by its id, by everybody', async () => {
    const bySlug = await find('second/Zebra');
    expect(bySlug).toMatchObject({ slug: 'second/Zebra', name: 'Zebra' });
    expect(await find(bySlug?.id ?? '')).toEqual(bySlug);
  });

  it('is null where there is none', async () => {
    const strange = [
      'second/zebra',
      'Zebra',
      '/Zebra',
      'second/',
      'second/\0',
      '',
      '0197a3f0-0000-7000-8000-000000000000',
    ];
    for (const id of strange) expect(await find(id)).toBeNull();
  });
});

describe('the number of SQL statements', () => {
  const statements: string[] = [];
  const run = async (operation: string) => {
    const prisma = createPrisma(server.connection, 1, (sql) => statements.push(sql));
    statements.length = 0;
    const { data, errors } = await executeWith(server, { prisma }, operation);
    await prisma.$disconnect();
    expect(errors).toBeUndefined();
    return { data: data as unknown as { models: Page; providers: { models: Page }[] }, count: statements.length };
  };
  const everything = 'slug providerSlug providerName providerKind inputPrice outputPrice cacheReadPrice description';

  beforeAll(async () => {
    const { id: providerId } = await server.services.prisma.provider.create({
      data: { slug: 'large', name: 'Large', kind: 'CUSTOM', priority: 1 },
    });
    const data = Array.from({ length: 150 }, (_, index) => ({ name: `large-${index}`, displayName: 'L', providerId }));
    await server.services.prisma.model.createMany({ data });
  });

  it('is the same for a page of models of any size', async () => {
    for (const [first, filter] of [
      [1, ''],
      [100, ''],
      [100, ', filter: { provider: "large" }'],
    ] as const) {
      const { data, count } = await run(
        `{ models(first: ${first}${filter}) { nodes { ${everything} } edges { node { id } } totalCount } }`,
      );
      expect(data.models.nodes).toHaveLength(first);
      expect(count).toBe(2);
      const uncounted = await run(`{ models(first: ${first}${filter}) { nodes { ${everything} } } }`);
      expect(uncounted.count).toBe(1);
    }
  });

  it('is the same for the models of all providers, each with its page and its count', async () => {
    for (const first of [1, 100]) {
      const { data, count } = await run(
        `{ providers { slug models(first: ${first}) { nodes { ${everything} } totalCount pageInfo { hasNextPage } } } }`,
      );
      const [large] = data.providers;
      expect(large?.models.nodes).toHaveLength(first);
      expect(large?.models.totalCount).toBe(150);
      expect(data.providers.length).toBeGreaterThan(10);
      expect(data.providers.every(({ models }) => models.pageInfo.hasNextPage === models.totalCount > first)).toBe(
        true,
      );
      expect(count).toBe(3);
    }
  });
});

describe('the models of a provider', () => {
  it('come with its default one first, page after page', async () => {
    const walked: string[] = [];
    let after: string | null = null;
    do {
      const answer: { data: { provider: { models: Page } } } = await server.query<
        { provider: { models: Page } },
        object
      >(
        'query($after: String) { provider(id: "second") { models(first: 3, after: $after) { nodes { name } pageInfo { hasNextPage endCursor } } } }',
        { after },
      );
      const { nodes, pageInfo } = answer.data.provider.models;
      walked.push(...nodes.map(({ name }) => name));
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    } while (after);
    expect(walked).toEqual(['Zebra', 'ape', 'bear', 'free']);
  });
});
