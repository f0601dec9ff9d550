import {
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isScalarType,
  isUnionType,
} from 'graphql';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Services } from '../../src/control/schema/context.ts';
import { buildSchema } from '../../src/control/schema/schema.ts';
import { createPrisma } from '../../src/platform/database/prisma.ts';
import { uuidv7 } from '../../src/platform/ids.ts';
import { until } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { countingPool, executeWith } from './execute.ts';

const FEW = 2;
const MANY = 60;
/** Of everything, one level more than any screen asks for. */
const DEPTH = 5;

const schema = buildSchema();
/** Every query whose answer grows with what there is; those that need an argument are lists below one thing. */
const lists = Object.values(schema.getQueryType()?.getFields() ?? {}).filter(
  ({ type, args }) => (isList(type) || isConnection(type)) && !args.some(isRequiredArgument),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

it('every list costs the same number of statements, with everything below it, for few things and for many', async () => {
  expect(lists.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'providers',
      'models',
      'routes',
      'budgets',
      'creditHistory',
      'requests',
      'usageEvents',
      'unpricedUsage',
      'comparisons',
      'apiKeys',
      'providerKeys',
      'myProviderKeys',
    ]),
  );
  const before = await counts(FEW);
  await add(MANY);
  const after = await counts(MANY);
  expect(after).toEqual(before);
  console.log(
    `statements: ${Object.entries(after)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
  );
});

/** How many statements each list takes, on pages of 100; also that it holds so many things at least. */
async function counts(atLeast: number): Promise<Record<string, number>> {
  if (atLeast === FEW) await add(FEW);
  const counted: Record<string, number> = {};
  for (const { name, type } of lists) {
    for (const way of isConnection(type) ? (['nodes', 'edges'] as const) : (['nodes'] as const)) {
      const what = way === 'edges' ? `${name} by edges` : name;
      const statements: string[] = [];
      const prisma = createPrisma(server.connection, 2, (sql) => statements.push(sql));
      const { pool, count } = countingPool(server);
      // The first statement of a client asks for more than its own.
      await prisma.$queryRaw`SELECT 1`;
      statements.length = 0;
      const page = isConnection(type) ? '(first: 100)' : '';
      const operation = `{ ${name}${page} ${selection(type, DEPTH, way)} }`;
      const { data, errors } = await executeWith(server, { prisma, pool } as Partial<Services>, operation);
      await prisma.$disconnect();
      expect(errors, what).toBeUndefined();
      const list = data?.[name] as object[] | Record<typeof way, object[]>;
      if (name !== 'providerKinds')
        expect(Array.isArray(list) ? list.length : list[way].length, what).toBeGreaterThanOrEqual(atLeast);
      counted[what] = statements.length + count();
    }
  }
  return counted;
}

/** All fields that need no argument, down to a depth, and of a connection either its nodes or its edges. */
function selection(type: GraphQLOutputType, depth: number, way: 'nodes' | 'edges'): string {
  const named = getNamedType(type);
  if (isScalarType(named) || isEnumType(named)) return '';
  if (isUnionType(named) || isInterfaceType(named) || !isObjectType(named)) return '{ __typename }';
  const fields = Object.values(named.getFields()).filter(({ args, name }) => {
    // `nodes` and `edges` hold the same, which Prisma would load twice.
    return !args.some(isRequiredArgument) && name !== (way === 'nodes' ? 'edges' : 'nodes');
  });
  const selected = fields.flatMap((field) => {
    const isLeaf = isScalarType(getNamedType(field.type)) || isEnumType(getNamedType(field.type));
    if (isLeaf) return [field.name];
    return depth > 0 ? [`${field.name} ${selection(field.type, depth - 1, way)}`] : [];
  });
  return `{ __typename ${selected.join(' ')} }`;
}

function isList(type: GraphQLOutputType): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type);
}

function isConnection(type: GraphQLOutputType): boolean {
  return getNamedType(type).name.endsWith('Connection');
}

let added = 0;

/** So many more of everything: providers with keys, models and health, routes with targets, budgets, credits, requests. */
async function add(count: number): Promise<void> {
  const { prisma, ledgerSeq } = server.services;
  const admin = await prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
  for (let left = count; left > 0; left--) {
    const id = uuidv7();
    const number = ++added;
    await prisma.provider.create({
      data: {
        ...{ id, slug: `provider-${number}`, name: `Provider ${number}`, kind: 'CUSTOM', isEnabled: true },
        ...{ baseUrl: 'http://127.0.0.1:1/v1' },
        keys: { create: { ciphertext: Buffer.alloc(32), masterKeyVersion: 1, hint: 'sk-…a1b2' } },
        userKeys: {
          create: { userId: admin.id, ciphertext: Buffer.alloc(32), masterKeyVersion: 1, hint: 'sk-…a1b2' },
        },
        models: { create: { name: 'm', displayName: 'M', priceVersion: { connectOrCreate: PRICE } } },
        health: { create: { status: 'ONLINE', checkedAt: new Date(), since: new Date() } },
      },
    });
    await prisma.route.create({
      data: {
        ...{ slug: `route-${number}`, name: `Route ${number}`, strategy: 'WEIGHTED' },
        targets: { create: [{ providerId: id, models: ['m'] }, { providerId: id }] },
      },
    });
    await prisma.budget.create({
      data: {
        ...{ scope: 'PROVIDER', subjectId: id, period: 'MONTHLY', limit: 1_000_000, thresholds: [50, 100] },
        enforcement: 'SOFT',
      },
    });
    await prisma.creditGrant.create({ data: { userId: admin.id, amount: 1 } });
    await prisma.comparison.create({
      data: { prompt: 'Hi', answerA: 'Yes', answerB: 'No', winner: 'A', judge: 'HUMAN' },
    });
    await prisma.apiKey.create({
      data: { ownerId: admin.id, name: `Key ${number}`, hash: Buffer.from(id), hint: 'sbx_…a1b2' },
    });
    await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello!' }] }),
    });
  }
  const events = Array.from({ length: count }, (_, index) => ({
    ...{ provider: 'elsewhere', model: `model-${added - index}`, inputTokens: 1, outputTokens: 1 },
  }));
  const { errors } = await server.query<unknown, object>(
    'mutation($input: TrackUsageInput!) { trackUsage(input: $input) { __typename } }',
    { input: { events } },
  );
  expect(errors).toEqual([]);
  await until(() => ledgerSeq.current >= BigInt(2 * added), 'the requests in the log');
}

const PRICE = { where: { id: 'p' }, create: { id: 'p', components: { input: 1, output: 1 } } };
