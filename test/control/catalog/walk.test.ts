import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

const PRICES = [0, 1, 20, 300].map((input) => priceVersion({ input, output: 300 - input }));
/** Two, so that two models may have the same name. */
const PROVIDERS = [uuidv7(), uuidv7()];

interface Model {
  id: string;
  provider: number;
  name: string;
  /** Index in PRICES; null: unknown. */
  price: number | null;
  contextTokens: number | null;
  createdAt: Date;
  isEnabled: boolean;
}

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  const { prisma } = server.services;
  const prices = PRICES.map(({ id, components }) => ({ id, components: { ...components } }));
  await prisma.priceVersion.createMany({ data: prices, skipDuplicates: true });
  await prisma.provider.createMany({
    data: PROVIDERS.map((id, index) => ({ id, slug: `walked-${index}`, name: 'Walked', kind: 'CUSTOM' as const })),
  });
});
afterAll(() => server.close());

/** Few values, so that many are equal, and many unknown. */
const arbitraryModel = fc.record({
  provider: fc.nat(1),
  name: fc.constantFrom('a', 'A', 'b', 'B/c', 'b-c', 'b_c', 'Ba', '~z', 'Z', '9'),
  price: fc.option(fc.nat(PRICES.length - 1)),
  contextTokens: fc.option(fc.constantFrom(1, 9, 10, 2_000_000_000)),
  createdAt: fc.constantFrom(0, 1, 999, 1_000, 86_400_000).map((ms) => new Date(1_700_000_000_000 + ms)),
  isEnabled: fc.boolean(),
});

const FILTERS: readonly [literal: string, fits: (model: Model) => boolean][] = [
  ['', () => true],
  ['isEnabled: true', ({ isEnabled }) => isEnabled],
  ['isPriced: false', ({ price }) => price === null],
  ['minContextTokens: 9', ({ contextTokens }) => (contextTokens ?? 0) >= 9],
  ['maxInputPrice: "0.00002"', (model) => (priceOf(model)?.input ?? 21) <= 20],
  ['provider: "walked-1"', ({ provider }) => provider === 1],
];

const SORTED_BY: Record<string, (model: Model) => string | number | null> = {
  NAME: ({ name }) => name.toLowerCase(),
  CREATED_AT: ({ createdAt }) => createdAt.getTime(),
  INPUT_PRICE: (model) => priceOf(model)?.input ?? null,
  OUTPUT_PRICE: (model) => priceOf(model)?.output ?? null,
  CONTEXT_TOKENS: ({ contextTokens }) => contextTokens,
};

function priceOf({ price }: Model) {
  return price === null ? null : PRICES[price]?.components;
}

function inOrder(models: Model[], field: string, direction: string): Model[] {
  const sortedBy = SORTED_BY[field] as (model: Model) => string | number | null;
  const sign = direction === 'ASC' ? 1 : -1;
  return [...models].sort((one, other) => {
    const [a, b] = [sortedBy(one), sortedBy(other)];
    if (a === b) return one.id < other.id ? -sign : sign;
    if (a === null || b === null) return a === null ? 1 : -1;
    return a < b ? -sign : sign;
  });
}

async function insert(models: Model[]): Promise<void> {
  await server.services.prisma.model.createMany({
    data: models.map(({ provider, price, ...model }) => ({
      ...model,
      displayName: 'Walked through',
      providerId: PROVIDERS[provider] as string,
      priceVersionId: price === null ? null : (PRICES[price]?.id ?? null),
    })),
  });
}

async function readPage(filter: string, orderBy: string, first: number, after: string | null) {
  const { data, errors } = await server.query<
    { models: { nodes: { id: string }[]; totalCount: number; pageInfo: { hasNextPage: boolean; endCursor: string } } },
    object
  >(
    `query($first: Int, $after: String) {
       models(filter: { search: "walked THROUGH" ${filter} }, orderBy: ${orderBy}, first: $first, after: $after) {
         nodes { id } totalCount pageInfo { hasNextPage endCursor } } }`,
    { first, after },
  );
  expect(errors).toEqual([]);
  return data.models;
}

test('walking through the models gives every one that stays once and in order, whatever comes and goes meanwhile', async () => {
  const walk = fc.record({
    models: fc.uniqueArray(arbitraryModel, { maxLength: 20, selector: ({ provider, name }) => `${provider}/${name}` }),
    first: fc.integer({ min: 1, max: 7 }),
    filter: fc.constantFrom(...FILTERS),
    field: fc.constantFrom(...Object.keys(SORTED_BY)),
    direction: fc.constantFrom('ASC', 'DESC'),
    additions: fc.array(fc.option(arbitraryModel), { maxLength: 10 }),
    removals: fc.array(fc.option(fc.nat()), { maxLength: 10 }),
    isCursorRemoved: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(walk, async (given) => {
      const { first, field, direction } = given;
      const [filter, fits] = given.filter;
      const { prisma } = server.services;
      await prisma.model.deleteMany({ where: { providerId: { in: PROVIDERS } } });
      const original = given.models.map((model) => ({ ...model, id: uuidv7() }));
      await insert(original);
      const known: Model[] = [...original];
      const removed = new Set<string>();
      const seen: string[] = [];
      let after: string | null = null;
      for (let number = 0; ; number += 1) {
        const page: Awaited<ReturnType<typeof readPage>> = await readPage(
          filter,
          `{ field: ${field}, direction: ${direction} }`,
          first,
          after,
        );
        seen.push(...page.nodes.map(({ id }) => id));
        expect(page.nodes.length).toBeLessThanOrEqual(first);
        expect(page.totalCount).toBe(known.filter((model) => fits(model) && !removed.has(model.id)).length);
        if (!page.pageInfo.hasNextPage) break;
        expect(page.nodes).toHaveLength(first);
        after = page.pageInfo.endCursor;
        const removal = given.removals[number];
        const gone = [
          given.isCursorRemoved ? seen.at(-1) : undefined,
          removal == null ? undefined : original[removal % original.length]?.id,
        ].filter((id) => id !== undefined);
        await prisma.model.deleteMany({ where: { id: { in: gone } } });
        for (const id of gone) removed.add(id);
        const addition = given.additions[number];
        if (!addition) continue;
        const added = { ...addition, name: `${addition.name}+${number}`, id: uuidv7() };
        await insert([added]);
        known.push(added);
      }
      expect(new Set(seen).size).toBe(seen.length);
      const expected = inOrder(known, field, direction).filter(fits);
      expect(seen).toEqual(expected.map(({ id }) => id).filter((id) => seen.includes(id)));
      const stayed = original.filter((model) => fits(model) && !removed.has(model.id));
      expect(stayed.filter(({ id }) => !seen.includes(id))).toEqual([]);
    }),
    { numRuns: 120 },
  );
});
