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

async function countStatements(operation: string): Promise<number> {
  statements = 0;
  const { data, errors } = await executeWith(server, { prisma }, operation);
  expect(errors).toBeUndefined();
  expect(JSON.stringify(data)).toContain('"slug":"p0"');
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
