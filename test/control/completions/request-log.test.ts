import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Condition, conditionOf, requestClauses } from '../../../src/control/completions/request-filter.ts';
import { hashApiKey } from '../../../src/platform/crypto.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { ADMIN, type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { countingPool, executeWith } from '../execute.ts';

const REQUEST = `id status provider model variant isCached route errorCode cost tags { name value }
  attempts { number variant errorCode cost }`;
const PAGE = `query($filter: RequestFilter, $first: Int, $after: String) {
  requests(filter: $filter, first: $first, after: $after) {
    totalCount nodes { ${REQUEST} } pageInfo { hasNextPage endCursor } } }`;
const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 0, 1);
const ROWS = 45;

interface Row {
  id: string;
  status: string;
  attempts: { number: number; errorCode: string | null; cost: string | null }[];
  [field: string]: unknown;
}
interface Page {
  totalCount: number;
  nodes: Row[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
}

let server: TestServer;
let user: { id: string; token: string };
const VARIANTS = [uuidv7(), uuidv7()];
const USER_KEY = `sbx_${'u'.repeat(40)}`;
/** Newest first. */
let ids: string[];

beforeAll(async () => {
  server = await startServer();
  const { prisma, tokens } = server.services;
  const { id } = await prisma.user.create({ data: { email: 'user@example.com', passwordHash: '-' } });
  user = { id, token: await tokens.sign(id) };
  const hash = new Uint8Array(hashApiKey(USER_KEY));
  await prisma.apiKey.create({ data: { ownerId: id, name: 'plain', hash, hint: 'sbx_…uuuu' } });
  ids = await fill();
});
afterAll(() => server.close());

/** One request a day: every third is the user's, every fifth failed at first, every ninth in the end as well. */
async function fill(): Promise<string[]> {
  const made: string[] = [];
  const completions: object[] = [];
  const attempts: object[] = [];
  for (let index = 0; index < ROWS; index++) {
    const startedAt = START + index * DAY_MS;
    const id = idAt(startedAt);
    made.unshift(id);
    const failed = index % 9 === 0;
    const times = { started_at: new Date(startedAt), finished_at: new Date(startedAt + 100), is_estimated: false };
    const tries = index % 5 === 0 ? 2 : 1;
    completions.push({
      ...times,
      id,
      seq: index + 1,
      server_id: 'test',
      status: failed ? 'FAILED' : 'SUCCEEDED',
      door: 'OPENAI',
      operation: 'CHAT',
      is_streamed: false,
      user_id: index % 3 === 0 ? user.id : null,
      route_slug: index % 2 === 0 ? 'default' : null,
      provider_slug: 'groq',
      model: 'llama',
      error_code: failed ? 'UPSTREAM' : null,
      error_message: failed ? `groq failed: 100%_${index}` : null,
      input_tokens: 1,
      output_tokens: 2,
      // 2^53: one less than what is stored, which JavaScript's numbers cannot hold.
      cost: index === 7 ? null : 9_007_199_254_740_992,
      latency_ms: 100,
      attempt_count: tries,
      config_version: 1,
      tags: { team: index % 4 === 0 ? 'blue' : 'red' },
      warnings: [],
      target_id: VARIANTS[index % 7] ?? null,
      is_cached: index % 6 === 0,
    });
    for (let number = 1; number <= tries; number++) {
      const isLast = number === tries;
      attempts.push({
        ...times,
        id: idAt(startedAt + number),
        completion_id: id,
        number,
        status: isLast && !failed ? 'SUCCEEDED' : 'FAILED',
        provider_id: uuidv7(),
        provider_slug: 'groq',
        used_own_key: false,
        model: 'llama',
        target_id: (isLast ? VARIANTS[index % 7] : VARIANTS[1]) ?? null,
        error_code: isLast && !failed ? null : index === 5 ? 'A_CODE_OF_THE_FUTURE' : 'UPSTREAM',
        latency_ms: 50,
      });
    }
  }
  for (const [table, rows] of Object.entries({ completions, attempts })) {
    const sql = `INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`;
    await server.services.pool.query(sql, [JSON.stringify(rows).replaceAll('9007199254740992', '9007199254740993')]);
  }
  return made;
}

function idAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}${uuidv7().slice(13)}`;
}

async function page(variables: object = {}, credential?: Credential): Promise<Page> {
  const { data, errors } = await server.query<{ requests: Page }, object>(PAGE, variables, credential);
  expect(errors).toEqual([]);
  return data.requests;
}

async function refusal(variables: object, credential?: Credential): Promise<string | undefined> {
  const { errors } = await server.query(PAGE, variables, credential);
  return `${errors[0]?.extensions.code}: ${errors[0]?.message}`;
}

describe('requests', () => {
  it('come newest first, each once, whatever the size of a page', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 7, max: 100 }), async (first) => {
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const { nodes, pageInfo, totalCount }: Page = await page({ first, after });
          expect(totalCount).toBe(ROWS);
          seen.push(...nodes.map(({ id }) => id));
          after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
        } while (after);
        expect(seen).toEqual(ids);
      }),
      { numRuns: 8 },
    );
  });

  it('have their attempts in order, exact costs, and unknown ones as null', async () => {
    const { nodes } = await page({ first: 100 });
    const fifth = nodes.at(-6);
    expect(fifth?.attempts).toMatchObject([
      { number: 1, errorCode: 'INTERNAL' },
      { number: 2, errorCode: null },
    ]);
    expect(fifth?.cost).toBe('9007.199254740993');
    expect(nodes.at(-8)).toMatchObject({ cost: null, attempts: [{ number: 1, cost: null }] });
  });

  it('name the variant of each attempt and of the last one, and tell what came from a cache', async () => {
    const { nodes } = await page({ first: 100 });
    const at = (index: number) => nodes.at(-1 - index);
    const [first, second] = VARIANTS;
    // It failed over from the second to the first.
    expect(at(35)).toMatchObject({ variant: first, attempts: [{ variant: second }, { variant: first }] });
    expect(at(10)).toMatchObject({ variant: null, attempts: [{ variant: second }, { variant: null }] });
    expect(nodes.filter(({ isCached }) => isCached).map(({ id }) => id)).toEqual(
      ids.filter((_, position) => (ROWS - 1 - position) % 6 === 0),
    );
  });

  it.each<[string, object, (index: number) => boolean]>([
    ['status', { status: 'FAILED' }, (index) => index % 9 === 0],
    ['route', { route: 'default' }, (index) => index % 2 === 0],
    ['provider', { provider: 'openai' }, () => false],
    ['variant', { variant: VARIANTS[0]?.toUpperCase() }, (index) => index % 7 === 0],
    ['part of an error’s message', { search: 'GROQ FAILED' }, (index) => index % 9 === 0],
    ['a text with LIKE’s own characters', { search: '100%_9' }, (index) => index === 9],
    ['no wildcards', { search: 'groq%100' }, () => false],
    ['a tag', { search: 'blu' }, (index) => index % 4 === 0],
    ['a time, from', { from: new Date(START + 10 * DAY_MS) }, (index) => index >= 10],
    ['a time, to', { to: new Date(START + 10 * DAY_MS) }, (index) => index < 10],
    [
      'all at once',
      { status: 'FAILED', route: 'default', from: new Date(START + DAY_MS), to: new Date(START + 40 * DAY_MS) },
      (index) => index % 18 === 0 && index >= 1 && index < 40,
    ],
    ['texts that Postgres refuses', { search: 'a\0b', model: '\0' }, () => false],
  ])('are filtered by %s', async (_what, filter, fits) => {
    const { nodes, totalCount } = await page({ filter, first: 100 });
    const expected = ids.filter((_, position) => fits(ROWS - 1 - position));
    expect(nodes.map(({ id }) => id)).toEqual(expected);
    expect(totalCount).toBe(expected.length);
  });

  it('are found by a part of their id', async () => {
    const [id = ''] = ids;
    expect((await page({ filter: { search: id.slice(9) } })).nodes.map((row) => row.id)).toEqual([id]);
  });

  it('show a user only their own', async () => {
    const own = ids.filter((_, position) => (ROWS - 1 - position) % 3 === 0);
    const mine = await page({ first: 100 }, user);
    expect(mine.nodes.map(({ id }) => id)).toEqual(own);
    expect(mine.totalCount).toBe(own.length);
    expect((await page({ first: 100, filter: { userId: user.id } })).totalCount).toBe(own.length);
    const { id } = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
    expect(await refusal({ filter: { userId: id } }, user)).toContain('FORBIDDEN');
  });

  it('refuse wrong filters and pages with a sentence', async () => {
    for (const [variables, about] of [
      [{ first: 0 }, 'first'],
      [{ first: 101 }, 'first'],
      [{ after: 'nonsense' }, 'after'],
      [{ filter: { userId: 'me' } }, 'filter.userId'],
      [{ filter: { apiKeyId: "' OR 1=1" } }, 'filter.apiKeyId'],
      [{ filter: { variant: 'B' } }, 'filter.variant'],
      [{ filter: { search: 'x'.repeat(201) } }, 'filter.search'],
      [{ filter: { from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' } }, 'filter.to'],
    ] as const) {
      expect(await refusal(variables)).toMatch(`VALIDATION: ${about}: `);
    }
  });

  it('cost three statements, whatever the size of the page', async () => {
    expect([await statements(5), await statements(45)]).toEqual([3, 3]);
  });

  /** How many statements a page of `first` takes, with its attempts and the total. */
  async function statements(first: number): Promise<number> {
    const { pool, count } = countingPool(server);
    const result = await executeWith(server, { pool }, PAGE, { first });
    expect(result.errors).toBeUndefined();
    expect(result.data).toMatchObject({ requests: { nodes: { length: first } } });
    return count();
  }

  it('reads only the partitions that a span of time can be in', async () => {
    const account = await server.services.prisma.user.findUniqueOrThrow({ where: { email: ADMIN.email } });
    const filter = { from: new Date(Date.now() - 1_000), to: new Date() };
    const scanned = async (condition: Condition) => {
      const { rows } = await server.services.pool.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN SELECT id FROM completions WHERE ${condition.sql}`,
        condition.values,
      );
      const names = rows.flatMap((row) => / on (completions_\w+)/.exec(row['QUERY PLAN'])?.[1] ?? []);
      return new Set(names).size;
    };
    const all = await scanned({ sql: 'true', values: [] });
    const some = await scanned(conditionOf(requestClauses({ kind: 'USER', account, expiresAt: 0 }, filter)));
    expect(all).toBeGreaterThan(some);
    expect(some).toBeGreaterThan(0);
  });
});

describe('request', () => {
  const find = async (id: string, credential?: Credential) => {
    const operation = `query($id: ID!) { request(id: $id) { ${REQUEST} } }`;
    const { data, errors } = await server.query<{ request: Row | null }, object>(operation, { id }, credential);
    expect(errors).toEqual([]);
    return data.request;
  };

  it('is there within a second of the answer, and equals it', async () => {
    const { data } = await server.query<{ complete: { requestId: string; cost: string } }, object>(
      `mutation($input: CompletionInput!) { complete(input: $input) { ... on Completion { requestId cost } } }`,
      { input: { messages: [{ role: 'USER', content: 'Hi' }], tags: [{ name: 'team', value: 'green' }] } },
    );
    const deadline = Date.now() + 1_000;
    let row = await find(data.complete.requestId);
    while (!row && Date.now() < deadline) row = await find(data.complete.requestId);
    expect(row).toMatchObject({
      status: 'SUCCEEDED',
      cost: data.complete.cost,
      tags: [{ name: 'team', value: 'green' }],
      attempts: [{ number: 1, cost: data.complete.cost }],
    });
    expect(await find(data.complete.requestId, user)).toBeNull();
  });

  it('is null for what is not there, is another’s, or is no id', async () => {
    expect(await find(ids.at(-1) ?? '', user)).toMatchObject({ id: ids.at(-1) });
    expect(await find(ids.at(-2) ?? '', user)).toBeNull();
    for (const id of [uuidv7(), 'nonsense', '\0']) expect(await find(id)).toBeNull();
  });

  it('is not for API keys that are made for completions', async () => {
    for (const operation of [
      '{ requests { totalCount } }',
      `{ request(id: "${ids[0]}") { id } }`,
      '{ metrics { from } }',
    ]) {
      const { data, errors } = await server.query<Record<string, unknown> | null, object>(
        operation,
        {},
        {
          apiKey: USER_KEY,
        },
      );
      expect(Object.values(data ?? {}).filter(Boolean)).toEqual([]);
      expect(errors).toHaveLength(1);
    }
  });
});
