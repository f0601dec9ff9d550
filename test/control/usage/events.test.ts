import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../kit/eventually.ts';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { newUser, type Person } from '../budgets/kit.ts';
import { countingPool, executeWith } from '../execute.ts';
import { EVENT, event, logCompletion, openShop, reprice, setPrice, track, type UsageEvent } from './kit.ts';

let server: TestServer;
let ada: Person;
let bob: Person;
const at = (minutes: number) => new Date(Date.parse('2026-11-20T12:00:00.000Z') + minutes * 60_000).toISOString();

beforeAll(async () => {
  server = await startServer();
  await openShop(server);
  ada = await newUser(server, 'ada@example.com');
  bob = await newUser(server, 'bob@example.com');
  await track(
    server,
    [3, 1, 2, 2].map((minute, index) =>
      event({ timestamp: at(minute), metadata: { team: 'search', run: { number: index }, tags: ['a', `t${index}`] } }),
    ),
    { token: ada.token },
  );
  await track(
    server,
    [event({ timestamp: at(5), model: 'free-of-price' }), event({ timestamp: at(4), provider: 'Else' })],
    {
      token: bob.token,
    },
  );
});
afterAll(() => server.close());

interface Page {
  nodes: UsageEvent[];
  totalCount: number;
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

async function list(filter: object = {}, page: object = {}, credential?: Credential): Promise<Page> {
  const { data, errors } = await server.query<{ usageEvents: Page }, object>(
    `query($filter: UsageEventFilter, $first: Int, $after: String) {
       usageEvents(filter: $filter, first: $first, after: $after) {
         totalCount nodes { ${EVENT} } pageInfo { hasNextPage endCursor } } }`,
    { filter, ...page },
    credential,
  );
  expect(errors).toEqual([]);
  return data.usageEvents;
}

const minutesOf = ({ nodes }: Page) =>
  nodes.map(({ occurredAt }) => (Date.parse(occurredAt) - Date.parse(at(0))) / 60_000);

test('events are listed by when they were, newest first, page by page', async () => {
  expect(minutesOf(await list())).toEqual([5, 4, 3, 2, 2, 1]);
  const seen: string[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page = await list({}, { first: 2, after });
    expect(page.totalCount).toBe(6);
    seen.push(...page.nodes.map(({ id }) => id));
    after = page.pageInfo.endCursor;
    if (!page.pageInfo.hasNextPage) break;
  }
  expect(seen).toEqual((await list()).nodes.map(({ id }) => id));
  expect(new Set(seen).size).toBe(6);
});

test('a user sees their own; an admin everybody’s, or those of one', async () => {
  expect(minutesOf(await list({}, {}, { token: ada.token }))).toEqual([3, 2, 2, 1]);
  expect(minutesOf(await list({ userId: bob.id }))).toEqual([5, 4]);
  const { errors } = await server.query<unknown, object>(
    'query($userId: ID) { usageEvents(filter: { userId: $userId }) { totalCount } }',
    { userId: bob.id },
    { token: ada.token },
  );
  expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
});

test('they are filtered by provider, model, time, cost and what their metadata contains', async () => {
  expect(minutesOf(await list({ provider: 'Shop', model: 'm' }))).toEqual([3, 2, 2, 1]);
  expect(minutesOf(await list({ provider: 'Else' }))).toEqual([4]);
  expect(minutesOf(await list({ from: at(2), to: at(4) }))).toEqual([3, 2, 2]);
  expect(minutesOf(await list({ isUnpriced: true }))).toEqual([5, 4]);
  expect(minutesOf(await list({ isUnpriced: false }))).toEqual([3, 2, 2, 1]);
  expect(minutesOf(await list({ metadata: { team: 'search' } }))).toEqual([3, 2, 2, 1]);
  expect(minutesOf(await list({ metadata: { run: { number: 1 } } }))).toEqual([1]);
  expect(minutesOf(await list({ metadata: { tags: ['t0', 'a'] } }))).toEqual([3]);
  expect(minutesOf(await list({ metadata: { team: 'Search' } }))).toEqual([]);
});

test.each([
  ['metadata that is no object', { metadata: 'search' }],
  ['an id that is none', { userId: 'x' }],
])('%s is refused', async (_what, filter) => {
  const { errors } = await server.query<unknown, object>(
    'query($filter: UsageEventFilter) { usageEvents(filter: $filter) { totalCount } }',
    { filter },
  );
  expect(errors).toMatchObject([{ extensions: { code: 'VALIDATION' } }]);
});

test('an index finds what metadata contains', async () => {
  const client = await server.services.pool.connect();
  await client.query('SET enable_seqscan = off');
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT id FROM usage_events WHERE metadata @> '{"team": "search"}'`,
  );
  client.release(true);
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Bitmap Index Scan on \S*metadata_idx/);
});

test('a page with corrections costs one statement, and one more with its count', async () => {
  await setPrice(server, 'free-of-price', '2');
  await reprice(server, { from: at(-60), isDryRun: false });
  const { pool, count } = countingPool(server);
  const { data } = await executeWith(server, { pool }, `{ usageEvents { totalCount nodes { ${EVENT} } } }`);
  expect(count()).toBe(2);
  const [newest] = (data as unknown as { usageEvents: Page }).usageEvents.nodes;
  expect(newest).toMatchObject({ cost: '0.0022', corrections: [{ wasUnpriced: true, difference: '0.0022' }] });
  expect(minutesOf(await list({ isUnpriced: true }))).toEqual([4]);
});

test('the request log costs the same number of statements with corrections and without', async () => {
  const count = async () => {
    const { pool, count: statements } = countingPool(server);
    const { errors } = await executeWith(
      server,
      { pool },
      '{ requests { nodes { cost attempts { corrections { id } } } } }',
    );
    expect(errors).toBeUndefined();
    return statements();
  };
  await logCompletion(server, [{ model: 'm', cost: 1n }]);
  const before = await count();
  for (let left = 5; left > 0; left--) await logCompletion(server, [{ model: 'm', cost: null, costSource: null }]);
  expect(await reprice(server, { isDryRun: false })).toMatchObject({ attempts: 5 });
  expect(await count()).toBe(before);
});

test('requestLogged goes on over numbers that are usage and corrections, without gap or repeat', async () => {
  const follow = async (afterSeq: string | null) => {
    const seen: string[] = [];
    const stop = server.ws().subscribe<{ requestLogged: { seq: string } }>(
      { query: `subscription { requestLogged${afterSeq ? `(input: { afterSeq: "${afterSeq}" })` : ''} { seq } }` },
      {
        next: ({ data }) => void (data && seen.push(data.requestLogged.seq)),
        error: () => undefined,
        complete: () => undefined,
      },
    );
    return { seen, stop };
  };
  const { requestTail } = server.services;
  const live = await follow(null);
  await until(() => requestTail.followers === 1, 'a follower');
  await track(server, [event(), event()]);
  await logCompletion(server, [{ model: 'm' }]);
  await track(server, [event()]);
  await logCompletion(server, [{ model: 'm' }]);
  await until(() => live.seen.length === 2, 'both requests');
  const caughtUp = await follow('0');
  const { rows } = await server.services.pool.query<{ seq: string }>(
    'SELECT seq::text FROM completions ORDER BY completions.seq',
  );
  await until(() => caughtUp.seen.length === rows.length, 'all requests');
  expect(caughtUp.seen).toEqual(rows.map(({ seq }) => seq));
  expect(live.seen).toEqual(caughtUp.seen.slice(-2));
  expect(Number(live.seen[1]) - Number(live.seen[0])).toBe(2);
  for (const { stop } of [live, caughtUp]) stop();
});
