import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { createProvider, deleteRoute, setTrafficSplit } from '../routes/kit.ts';
import { recordComparison } from './kit.ts';

let server: TestServer;
let routeId: string;
let a: string;
let b: string;
beforeAll(async () => {
  server = await startServer();
  for (const slug of ['one', 'two']) await createProvider(server, slug);
  await server.query('mutation { createRoute(input: { name: "Judged", slug: "judged" }) { __typename } }');
  const { route, trafficSplit } = await setTrafficSplit(server, {
    routeId: 'judged',
    targets: [
      { provider: 'one', percentage: 50 },
      { provider: 'two', percentage: 50 },
    ],
  });
  routeId = route.id;
  [a = '', b = ''] = trafficSplit.targets.map(({ target }) => target.id);
});
afterAll(() => server.close());

interface Page {
  nodes: { id: string }[];
  totalCount: number;
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

async function page(variables: object): Promise<Page> {
  const { data, errors } = await server.query<{ comparisons: Page }, object>(
    `query($filter: ComparisonFilter, $first: Int, $after: String) {
      comparisons(filter: $filter, first: $first, after: $after) {
        nodes { id } totalCount pageInfo { hasNextPage endCursor } } }`,
    variables,
  );
  expect(errors).toEqual([]);
  return data.comparisons;
}

describe('recordComparison', () => {
  it('keeps a judgement as it was told, with who told it', async () => {
    const input = {
      ...{
        variantA: a.toUpperCase(),
        variantB: b,
        prompt: ' Write\n\ta "poem" 😀 ',
        answerA: 'Roses',
        answerB: 'Violets',
      },
      ...{ winner: 'TIE', judge: 'MODEL', judgeName: 'gpt-judge', scoreA: 0, scoreB: 99.5, notes: 'Both\nrhyme.' },
    };
    const { comparison } = await recordComparison(server, { ...input, routeId: 'judged' });
    const { id: recordedBy } = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
    expect(comparison).toMatchObject({ ...input, variantA: a, routeId, recordedBy });
    const { id } = comparison as { id: string };
    expect(await server.services.prisma.comparison.findUnique({ where: { id } })).toMatchObject({
      ...{ targetAId: a, targetBId: b, prompt: input.prompt, notes: input.notes, scoreB: 99.5 },
    });
  });

  it('needs no route for answers from elsewhere', async () => {
    const { comparison } = await recordComparison(server, {});
    expect(comparison).toMatchObject({ routeId: null, variantA: null, variantB: null, judgeName: null, scoreA: null });
  });

  it('refuses what is not right with a sentence for each field, and keeps nothing of it', async () => {
    const before = await server.services.prisma.comparison.count();
    const refused = async (input: object) => {
      const { issues } = await recordComparison(server, input);
      return (issues as { path: string }[] | undefined)?.map(({ path }) => path);
    };
    expect(await refused({ variantA: a })).toEqual(['routeId']);
    expect(await refused({ routeId, variantA: a, variantB: a.toUpperCase() })).toEqual(['variantB']);
    expect(await refused({ routeId, variantA: uuidv7(), variantB: 'B' })).toEqual(['variantA', 'variantB']);
    expect(await refused({ routeId: 'default', variantA: a })).toEqual(['variantA']);
    expect(await refused({ prompt: '', answerA: 'a\0', answerB: '\ud800' })).toEqual(['prompt', 'answerA', 'answerB']);
    expect(await refused({ prompt: 'x'.repeat(100_001), notes: 'x'.repeat(4_001) })).toEqual(['prompt', 'notes']);
    expect(await refused({ judgeName: 'x'.repeat(101) })).toEqual(['judgeName']);
    expect(await refused({ scoreA: -1, scoreB: 100.5 })).toEqual(['scoreA', 'scoreB']);
    expect(await recordComparison(server, { routeId: 'nowhere' })).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    expect(await server.services.prisma.comparison.count()).toBe(before);
    await recordComparison(server, { prompt: 'x'.repeat(100_000), notes: 'x'.repeat(4_000) });
    expect(await server.services.prisma.comparison.count()).toBe(before + 1);
  });
});

describe('comparisons', () => {
  it('come newest first, each once, whatever the size of a page, and by what they are', async () => {
    const { prisma } = server.services;
    await prisma.comparison.deleteMany();
    const made: { id: string; index: number }[] = [];
    for (let index = 0; index < 23; index++) {
      const { comparison } = await recordComparison(server, {
        ...(index % 2 === 0 ? { routeId: 'judged' } : {}),
        ...(index % 4 === 0 ? { variantA: a } : index % 6 === 0 ? { variantA: b, variantB: a } : {}),
        ...{ winner: ['A', 'B', 'TIE'][index % 3], judge: index % 5 === 0 ? 'MODEL' : 'HUMAN' },
      });
      made.unshift({ id: (comparison as { id: string }).id, index });
    }
    const seen: string[] = [];
    for (let after: string | null = null, isLast = false; !isLast; ) {
      const { nodes, pageInfo, totalCount }: Page = await page({ first: 7, after });
      expect(totalCount).toBe(23);
      seen.push(...nodes.map(({ id }) => id));
      after = pageInfo.endCursor;
      isLast = !pageInfo.hasNextPage;
    }
    expect(seen).toEqual(made.map(({ id }) => id));
    const filtered = async (filter: object, fits: (index: number) => boolean) => {
      const { nodes, totalCount } = await page({ filter });
      const expected = made.filter(({ index }) => fits(index)).map(({ id }) => id);
      expect(nodes.map(({ id }) => id)).toEqual(expected);
      expect(totalCount).toBe(expected.length);
    };
    await filtered({ routeId: 'judged' }, (index) => index % 2 === 0);
    await filtered({ routeId: routeId.toUpperCase() }, (index) => index % 2 === 0);
    await filtered({ routeId: 'nowhere' }, () => false);
    await filtered({ variant: a }, (index) => index % 4 === 0 || index % 6 === 0);
    await filtered({ variant: b.toUpperCase() }, (index) => index % 6 === 0 && index % 4 !== 0);
    await filtered({ winner: 'TIE', judge: 'HUMAN' }, (index) => index % 3 === 2 && index % 5 !== 0);
    const { errors } = await server.query('{ comparisons(filter: { variant: "B" }) { nodes { id } } }');
    expect(errors[0]?.extensions.code).toBe('VALIDATION');
    // What was judged stays when its route goes.
    await deleteRoute(server, 'judged');
    await filtered({ routeId }, (index) => index % 2 === 0);
  });
});
