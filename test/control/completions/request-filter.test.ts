import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LoggedRequest } from '../../../src/control/completions/logged-request.ts';
import { conditionOf, type RequestFilter, requestClauses } from '../../../src/control/completions/request-filter.ts';
import { readRequests } from '../../../src/control/completions/request-rows.ts';
import type { Caller } from '../../../src/gateway/admission/caller.ts';
import { createPool } from '../../../src/platform/database/connection.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { createDatabase, type TestDatabase } from '../../kit/database.ts';
import { commitRows } from './ledger-rows.ts';

const ROWS = 400;
const NOW = Date.UTC(2026, 10, 20);
const IDS = [uuidv7(), uuidv7(), uuidv7()];
/** Cases, LIKE's own characters, letters whose other case depends on the locale, and what Postgres refuses. */
const TEXTS = ['gpt', 'GPT-4', 'a%b', 'a_b', 'a\\b', 'ÄÖ', 'äö', 'İ', 'ı', 'ΣΑΣ', 'ß', '漢字', '😀', '\ufffd', '', ' '];
const NAMES = [
  'status',
  'provider',
  'model',
  'route',
  'variant',
  'userId',
  'apiKeyId',
  'search',
  'from',
  'to',
] as const;
const STATUSES = ['SUCCEEDED', 'FAILED', 'CANCELLED', 'INDETERMINATE'] as const;

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
let all: LoggedRequest[];

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool(database.connection, { max: 2, applicationName: 'test' });
  const text = fc.option(fc.constantFrom(...TEXTS));
  const row = fc.record({
    started_at: fc.integer({ min: 0, max: 100 }).map((step) => new Date(NOW + step * 1_000)),
    status: fc.constantFrom(...STATUSES),
    user_id: fc.option(fc.constantFrom(...IDS)),
    api_key_id: fc.option(fc.constantFrom(...IDS)),
    target_id: fc.option(fc.constantFrom(...IDS)),
    ...{ provider_slug: text, model: text, route_slug: text, error_message: text },
    error_code: fc.option(fc.constantFrom('UPSTREAM', 'A_CODE_OF_THE_FUTURE')),
    tags: fc.dictionary(fc.constantFrom('team', 'Env', 'ÄÖ'), fc.constantFrom(...TEXTS), { noNullPrototype: true }),
  });
  const rows = fc.sample(row, ROWS).map((random, index) => {
    // Some ids carry another time than their row.
    const skew = index % 10 === 0 ? 61_000 : 0;
    return { ...random, id: uuidv7().replace(/^.{13}/, timeOf(random.started_at.getTime() - skew)) };
  });
  await commitRows(pool, rows);
  all = await readRequests(pool, { sql: 'true', values: [] }, 'completions.seq', ROWS);
  expect(all).toHaveLength(ROWS);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

function timeOf(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

it('Postgres and memory agree on which requests fit a filter', async () => {
  const wanted = fc.oneof(fc.constantFrom(...TEXTS), fc.constantFrom('\0', '\ud800', 'GPT'));
  const id = fc.constantFrom(...IDS, ...IDS.map((one) => one.toUpperCase()));
  const time = fc.integer({ min: -70, max: 170 }).map((step) => new Date(NOW + step * 1_000 - 500 * (step % 2)));
  const search = fc.oneof(
    fc.constantFrom(...TEXTS, '%', '_', '\\', '\0', '\udfff', 'UPstream', 'future', 'ENV', '漢'),
    fc.integer({ min: 0, max: ROWS - 1 }).map((index) => (all[index]?.id ?? '').slice(20).toUpperCase()),
    fc.string({ unit: 'grapheme', maxLength: 3 }),
  );
  const filter = fc.record(
    {
      ...{ status: fc.constantFrom(...STATUSES), provider: wanted, model: wanted, route: wanted },
      ...{ variant: id, userId: id, apiKeyId: id, search, from: time, to: time },
    },
    { requiredKeys: [] },
  );
  let found = 0;
  const check = async (one: RequestFilter, caller: Caller) => {
    const clauses = requestClauses(caller, one);
    const inPostgres = await readRequests(pool, conditionOf(clauses), 'completions.seq', ROWS);
    const inMemory = all.filter((request) => clauses.every(({ fits }) => fits(request)));
    expect(inPostgres.map(({ seq }) => seq)).toEqual(inMemory.map(({ seq }) => seq));
    if (inMemory.length > 0 && inMemory.length < ROWS) found += 1;
  };
  const isPossible = ({ from, to }: RequestFilter) => !(from && to) || from < to;
  await fc.assert(
    fc.asyncProperty(filter.filter(isPossible), async (one) => check(one, admin)),
    { numRuns: 600 },
  );
  // Most filters with several members fit nothing, so each member is also taken by itself.
  for (const name of NAMES) {
    const single = filter.filter((one) => one[name] !== undefined).map((one) => ({ [name]: one[name] }));
    await fc.assert(
      fc.asyncProperty(single, async (one) => check(one, admin)),
      { numRuns: 60 },
    );
  }
  await check({}, { ...admin, account: { ...admin.account, id: IDS[0] ?? '', role: 'USER' } });
  expect(found).toBeGreaterThan(100);
});

const admin = {
  kind: 'USER',
  account: {
    id: uuidv7(),
    email: 'a@b',
    name: null,
    role: 'ADMIN',
    tier: 'FREE',
    isActive: true,
    powerLevel: 'BALANCED',
  },
  expiresAt: 0,
} as const satisfies Caller;
