import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDatabaseUrl } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { executeWith } from '../execute.ts';
import { changeRoute, createProvider, ROUTE } from './kit.ts';

const PROVIDER = 'provider { id slug name isEnabled isActive keyHint }';
const WHOLE = `${ROUTE} targets { ${PROVIDER} }`;
const SPLIT = `strategy isSplit route { slug } targets { percentage target { id models ${PROVIDER} } }`;

let server: TestServer;
let prisma: ReturnType<typeof createPrisma>;
let statements = 0;
beforeAll(async () => {
  server = await startServer();
  prisma = createPrisma(parseDatabaseUrl(server.services.settings.databaseUrl ?? ''), 1, () => {
    statements += 1;
  });
  for (let index = 0; index < 10; index++) await createProvider(server, `p${index}`);
});
afterAll(async () => {
  await prisma.$disconnect();
  await server.close();
});

async function countStatements(
  operation: string,
  variables: Record<string, unknown> = {},
  part = '"slug":"p0"',
): Promise<number> {
  statements = 0;
  const { data, errors } = await executeWith(server, { prisma }, operation, variables);
  expect(errors).toBeUndefined();
  expect(JSON.stringify(data)).toContain(part);
  return statements;
}

const targets = (many: number) => Array.from({ length: many }, (_, index) => ({ provider: `p${index}` }));

test('routes with targets and providers cost the same for one route and for fifty', async () => {
  await changeRoute(server, 'createRoute', { name: 'r0', strategy: 'WEIGHTED', targets: targets(1) });
  const one = await countStatements(`{ routes { ${WHOLE} } }`);
  for (let index = 1; index < 50; index++)
    await changeRoute(server, 'createRoute', { name: `r${index}`, strategy: 'WEIGHTED', targets: targets(10) });
  const fifty = await countStatements(`{ routes { ${WHOLE} } }`);
  console.info(`routes with targets and providers: ${one} and ${fifty} statements`);
  expect(fifty).toBe(one);
  expect(fifty).toBeLessThanOrEqual(6);
});

test.each([`route(id: "ID") { ${WHOLE} }`, `trafficSplit(routeId: "ID") { ${SPLIT} }`])(
  '%s costs the same for one target and for ten',
  async (field) => {
    const one = await countStatements(`{ ${field.replace('ID', 'r0')} }`);
    const ten = await countStatements(`{ ${field.replace('ID', 'r1')} }`);
    expect(ten).toBe(one);
    expect(ten).toBeLessThanOrEqual(6);
  },
);

const VERSIONS = 'versions(first: 100) { totalCount nodes { version content changedBy { email } } }';

test('the versions of routes cost the same for a few and for many, by one and by several people', async () => {
  const few = await countStatements(`{ route(id: "r0") { ${VERSIONS} } }`, {}, '"version":1');
  for (let change = 0; change < 20; change++)
    await changeRoute(server, 'updateRoute', { id: 'r1', name: `n${change}` });
  const user = await server.services.prisma.user.create({ data: { email: 'a@b.test', passwordHash: 'none' } });
  const { count } = await server.services.prisma.routeVersion.updateMany({
    where: { version: { in: [3, 5] } },
    data: { changedBy: user.id },
  });
  expect(count).toBe(2);
  const many = await countStatements(`{ routes { ${VERSIONS} } }`, {}, '"version":21');
  console.info(`versions of routes: ${few} and ${many} statements`);
  expect(many).toBe(few);
});

test('a change of a route costs the same with little and with much in it', async () => {
  const create = 'mutation($input: CreateRouteInput!) { r: createRoute(input: $input) { __typename } }';
  const update = 'mutation($input: UpdateRouteInput!) { r: updateRoute(input: $input) { __typename } }';
  const split = 'mutation($input: SetTrafficSplitInput!) { r: setTrafficSplit(input: $input) { __typename } }';
  const little = { targets: targets(1), fallbacks: ['r0'] };
  const much = {
    ...{ targets: targets(10), fallbacks: Array.from({ length: 10 }, (_, index) => `r${index + 20}`) },
    ...{ aliases: Array.from({ length: 20 }, (_, index) => `alias-${index}`), config: { a: 1 } },
  };
  const shares = (percentages: number[]) =>
    percentages.map((percentage, index) => ({ provider: `p${index}`, percentage }));
  const count = (operation: string, input: object) => countStatements(operation, { input }, 'RouteSuccess');
  const costs = {
    create: [await count(create, { name: 'little', ...little }), await count(create, { name: 'much', ...much })],
    update: [await count(update, { id: 'little', ...little }), await count(update, { id: 'much', ...much })],
    split: [
      await countStatements(split, { input: { routeId: 'r0', targets: shares([100]) } }, 'SplitSuccess'),
      await countStatements(split, { input: { routeId: 'r1', targets: shares(Array(10).fill(10)) } }, 'SplitSuccess'),
    ],
  };
  console.info(`changes of routes: ${JSON.stringify(costs)} statements`);
  for (const [little, much] of Object.values(costs)) expect(much).toBe(little);
});
