import { afterAll, beforeAll, expect, test } from 'vitest';
import { trackUsage } from '../../../src/control/usage/track.ts';
import { AuthenticationError } from '../../../src/platform/errors.ts';
import { startServer, type TestServer } from '../../kit/server.ts';
import { newKey, newUser, type Person, set } from '../budgets/kit.ts';
import { countingPool, executeWith } from '../execute.ts';
import { event, openShop, totals, track, tryTrack } from './kit.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startServer();
  await openShop(server);
  ada = await newUser(server, 'ada@example.com');
});
afterAll(() => server.close());

async function rows() {
  const { rows } = await server.services.pool.query(
    `SELECT (SELECT count(*)::int FROM usage_events) AS events, (SELECT count(*)::int FROM usage_keys) AS keys,
       (SELECT count(*)::int FROM corrections) AS corrections, (SELECT seq::text FROM ledger_head) AS seq,
       (SELECT coalesce(sum(cost), 0)::text FROM rollups) AS cost`,
  );
  return rows[0];
}

test('usage of a known model is priced like a completion, and is the caller’s', async () => {
  const person = await newUser(server, 'grace@example.com');
  const key = await newKey(server, person.id, 'reporter');
  const { events, ...usage } = await track(server, [event({ latencyMs: 40 })], { apiKey: key.apiKey });
  expect(usage).toEqual({ recorded: 1, duplicates: 0, resolved: 0, unpriced: 0, cost: '0.0012' });
  expect(events[0]?.event).toMatchObject({
    ...{ provider: 'shop', isProviderKnown: true, model: 'm', cost: '0.0012', costSource: 'PRICED' },
    ...{ userId: person.id, apiKeyId: key.id, latencyMs: 40, metadata: {}, idempotencyKey: null, corrections: [] },
  });
  expect(await totals(server, { token: person.token })).toMatchObject({
    ...{ requests: '1', succeeded: '1', attempts: '1', inputTokens: '1000', outputTokens: '100' },
    ...{ cost: 1_200_000_000n, unpricedRequests: '0', averageLatencyMs: 40 },
  });
});

test('a provider is found by its slug, its name and its kind; unknown ones, and unknown models, cost null', async () => {
  const { events } = await track(server, [
    event({ provider: 'SHOP' }),
    event({ provider: 'Shop' }),
    event({ provider: 'OPENAI', model: 'gpt-4.1' }),
    event({ provider: 'sandbox', model: 'never heard of' }),
    event({ provider: 'Nobody', model: 'm' }),
  ]);
  expect(events.map((one) => [one.event?.provider, one.event?.isProviderKnown, one.event?.cost === null])).toEqual([
    ['shop', true, false],
    ['shop', true, false],
    ['openai', true, false],
    ['sandbox', true, true],
    ['Nobody', false, true],
  ]);
});

test('an average is over the calls whose duration is known', async () => {
  const person = await newUser(server, 'timed@example.com');
  await track(server, [event({ latencyMs: 100 }), event({ latencyMs: 300 }), event()], { token: person.token });
  expect(await totals(server, { token: person.token })).toMatchObject({ requests: '3', averageLatencyMs: 200 });
});

test('the same under one key is recorded once, also ten times at the same time', async () => {
  const before = await rows();
  const batch = [event({ idempotencyKey: 'one', metadata: { a: 1, b: [2] } }), event({ idempotencyKey: 'two' })];
  const again = [event({ idempotencyKey: 'one', metadata: { b: [2], a: 1 } }), event({ idempotencyKey: 'two' })];
  const all = await Promise.all(
    Array.from({ length: 10 }, (_, index) => track(server, index % 2 ? batch : again, { token: ada.token })),
  );
  expect(all.map(({ recorded }) => recorded).sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
  expect(new Set(all.map(({ events }) => events.map((one) => one.event?.id).join()))).toHaveProperty('size', 1);
  const after = await rows();
  expect(after).toMatchObject({ events: before.events + 2, keys: before.keys + 2, seq: `${Number(before.seq) + 2}` });
  // Another user's keys are their own.
  expect(await track(server, batch)).toMatchObject({ recorded: 2, duplicates: 0 });
});

test('a key that is twice in a report is recorded once', async () => {
  const { events, ...usage } = await track(server, [
    event({ idempotencyKey: 'twice' }),
    event({ idempotencyKey: 'twice' }),
  ]);
  expect(usage).toMatchObject({ recorded: 1, duplicates: 1, cost: '0.0012' });
  expect(events.map(({ isDuplicate }) => isDuplicate)).toEqual([false, true]);
  expect(events[0]?.event?.id).toBe(events[1]?.event?.id);
});

test.each([
  ['before', [event({ idempotencyKey: 'taken' })], [event(), event({ idempotencyKey: 'taken', inputTokens: 5 })]],
  ['in the report', [], [event({ idempotencyKey: 'x' }), event(), event({ idempotencyKey: 'x', model: 'other' })]],
])('other content under a key that was used %s is refused, and nothing is recorded', async (_when, first, second) => {
  if (first.length > 0) await track(server, first);
  const before = await rows();
  const refused = await tryTrack(server, second);
  expect(refused).toMatchObject({ __typename: 'ConflictError', code: 'CONFLICT' });
  expect(refused.message).toMatch(/"taken"|"x"/);
  expect(await rows()).toEqual(before);
});

const YEAR_AGO = new Date(Date.now() - 367 * 86_400_000);

test.each([
  ['no events', [], 'events'],
  ['1,001 events', Array.from({ length: 1_001 }, () => event()), 'events'],
  ['negative tokens', [event({ inputTokens: -1 })], 'events.0.inputTokens'],
  ['more cached tokens than input', [event({ cachedTokens: 600, cacheWriteTokens: 600 })], 'events.0.inputTokens'],
  ['more reasoning than output', [event({ reasoningTokens: 101 })], 'events.0.outputTokens'],
  [
    'a time that is more than five minutes ahead',
    [event({ timestamp: new Date(Date.now() + 400_000) })],
    'events.0.timestamp',
  ],
  ['a time that is more than a year ago', [event(), event({ timestamp: YEAR_AGO })], 'events.1.timestamp'],
  ['metadata that is no object', [event({ metadata: [1] })], 'events.0.metadata'],
  ['metadata of more than 16 KiB', [event({ metadata: { text: 'x'.repeat(17_000) } })], 'events.0.metadata'],
  [
    'more than 1 MiB of metadata',
    Array.from({ length: 80 }, () => event({ metadata: { text: 'x'.repeat(15_000) } })),
    'events',
  ],
  ['an empty provider', [event({ provider: ' ' })], 'events.0.provider'],
  ['a model of 201 characters', [event({ model: 'm'.repeat(201) })], 'events.0.model'],
  ['a key of 201 characters', [event({ idempotencyKey: 'k'.repeat(201) })], 'events.0.idempotencyKey'],
  ['an attempt that is no id', [event({ attemptId: 'x' })], 'events.0.attemptId'],
])('%s is refused', async (_what, events, path) => {
  const before = await rows();
  const { __typename, issues } = await tryTrack(server, events);
  expect(__typename).toBe('ValidationError');
  expect(issues?.map((issue) => issue.path)).toContain(path);
  expect(await rows()).toEqual(before);
});

test('JSON that Postgres does not store, numbers that are no tokens and a missing name are refused with 400', async () => {
  for (const changes of [{ metadata: { text: '\u0000' } }, { inputTokens: 2 ** 31 }, { model: null }]) {
    const { errors } = await server.query<unknown, object>(
      'mutation($input: TrackUsageInput!) { trackUsage(input: $input) { __typename } }',
      { input: { events: [event(changes)] } },
    );
    expect(errors).toMatchObject([{ extensions: { code: 'VALIDATION' } }]);
  }
});

test('usage from before what the ledger keeps is refused', async () => {
  const services = { settings: { ...server.services.settings, ledgerRetentionMonths: 1 } };
  const old = new Date(Date.now() - 70 * 86_400_000);
  const input = { events: [event({ timestamp: old.toISOString() })] };
  const operation = `mutation($input: TrackUsageInput!) { trackUsage(input: $input) { __typename } }`;
  const { data } = await executeWith(server, services, operation, { input });
  expect(data?.trackUsage).toMatchObject({ __typename: 'ValidationError' });
  expect(await track(server, [event({ timestamp: old })])).toMatchObject({ recorded: 1 });
});

test('evidence for an attempt is for admins, and nothing happens otherwise', async () => {
  const before = await rows();
  const attemptId = '019a9f00-0000-7000-8000-000000000000';
  const refused = await tryTrack(server, [event(), event({ attemptId })], { token: ada.token });
  expect(refused).toMatchObject({ __typename: 'ForbiddenError' });
  expect(await tryTrack(server, [event(), event({ attemptId })])).toMatchObject({ __typename: 'NotFoundError' });
  expect(await rows()).toEqual(before);
});

test('whoever is not signed in cannot report, also where anonymous completions are allowed', async () => {
  const before = await rows();
  const report = trackUsage(
    server.services,
    { kind: 'ANONYMOUS', address: '127.0.0.1' },
    { events: [event() as never] },
  );
  await expect(report).rejects.toThrow(AuthenticationError);
  expect(await rows()).toEqual(before);
});

test('a thousand events take as many statements as one', async () => {
  await set(server, { scope: 'EVERYTHING', limit: '1000000' });
  const count = async (many: number) => {
    const statements: string[] = [];
    const { pool } = countingPool(server);
    const connect = async () => {
      const client = await server.services.pool.connect();
      return new Proxy(client, {
        get: (target, name) => {
          const value = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          if (name !== 'query') return value.bind(target);
          return (...args: unknown[]) => {
            statements.push(String(args[0]).trim().slice(0, 30));
            return value.apply(target, args);
          };
        },
      });
    };
    const query = pool.query.bind(pool);
    const counted = {
      connect,
      query: (...args: Parameters<typeof query>) => {
        statements.push(String(args[0]).trim().slice(0, 30));
        return query(...args);
      },
    };
    const events = Array.from({ length: many }, (_, index) =>
      event({ model: `m-${index}`, provider: `p-${index % 7}`, idempotencyKey: `${many}-${index}`, latencyMs: index }),
    );
    const { data } = await executeWith(
      server,
      { pool: counted as never },
      'mutation($input: TrackUsageInput!) { trackUsage(input: $input) { ... on TrackUsageSuccess { usage { recorded } } } }',
      { input: { events } },
    );
    expect(data?.trackUsage).toEqual({ usage: { recorded: many } });
    return statements;
  };
  const one = await count(1);
  const began = performance.now();
  expect(await count(1_000)).toEqual(one);
  console.info(`${one.length} statements; a thousand events in ${Math.round(performance.now() - began)} ms`);
});

test('it is posted above a budget, too, in the period in which it was', async () => {
  const person = await newUser(server, 'spender@example.com');
  const credential = { token: person.token };
  const budget = await set(server, { limit: '0.001', period: 'DAILY' }, credential);
  await track(server, [event(), event({ timestamp: new Date(Date.now() - 3 * 86_400_000) }), event()], credential);
  const { rows } = await server.services.pool.query<{ settled: string }>(
    'SELECT settled::text FROM allowances WHERE budget_id = $1 ORDER BY starts_at DESC',
    [budget.id],
  );
  expect(rows).toEqual([{ settled: '2400000000' }]);
});

test('without Postgres it is refused with 503, and may be tried again', async () => {
  const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const pool = { ...server.services.pool, connect: () => Promise.reject(away), query: () => Promise.reject(away) };
  const operation = `mutation($input: TrackUsageInput!) { trackUsage(input: $input) { __typename } }`;
  const { errors } = await executeWith(server, { pool: pool as never }, operation, { input: { events: [event()] } });
  expect(errors?.[0]?.originalError).toBe(away);
});
