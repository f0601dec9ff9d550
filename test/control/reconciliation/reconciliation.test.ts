import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finding, reconcile } from '../../../src/control/reconciliation/reconciliation.ts';
import { deleteOldRows } from '../../../src/gateway/ledger/retention.ts';
import { createLog } from '../../../src/platform/log.ts';
import { ADMIN, startServer, type TestServer } from '../../kit/server.ts';
import { type Answer, chunk, connectProviders, events, json, startUpstream, whole } from '../../kit/upstream.ts';

let server: TestServer;
const closers: (() => Promise<void>)[] = [];

/** Answers these in turn, over and over. */
function inTurn(...answers: readonly Answer[]): Answer {
  let calls = 0;
  return (response, received) => answers[calls++ % answers.length]?.(response, received);
}

const cached = { usage: { prompt_tokens: 900, completion_tokens: 70, prompt_tokens_details: { cached_tokens: 300 } } };
const streamed = events(
  chunk('Hello'),
  chunk('', 'stop'),
  { ...chunk(''), choices: [], ...{ usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 } } },
  '[DONE]',
);

beforeAll(async () => {
  server = await startServer({ circuitProbeMs: 0 });
  const failing = await startUpstream(
    inTurn(json({ error: { message: 'down' } }, 500), (response, received) =>
      (JSON.parse(received.body).stream ? streamed : json(whole('a', cached)))(response, received),
    ),
  );
  const steady = await startUpstream((response, received) =>
    (JSON.parse(received.body).stream ? streamed : json(whole('b')))(response, received),
  );
  closers.push(() => server.close(), failing.close, steady.close);
  await connectProviders(server, { failing, steady }, { failing: ['3', '15'] });
  for (const scope of [{ scope: 'EVERYTHING' }, { scope: 'USER' }, { scope: 'PROVIDER', subject: 'steady' }])
    for (const period of ['DAILY', 'TOTAL'])
      await must('setBudget', 'SetBudgetInput', { ...scope, period, limit: '100', enforcement: 'SOFT' });
  await must('updateRoute', 'UpdateRouteInput', { id: 'default', cacheTtlSeconds: 600 });
  for (const amount of ['5', '-2']) await must('grantCredits', 'GrantCreditsInput', { userId: ADMIN.email, amount });
  for (let round = 0; round < 12; round += 1) await send({ stream: round % 2 === 0, seed: round % 10 });
  await server.services.ledger.drained();
  const used = { inputTokens: 1_000, outputTokens: 10 };
  await must('trackUsage', 'TrackUsageInput', {
    events: [
      { provider: 'steady', model: 'm', ...used, cachedTokens: 300, latencyMs: 25 },
      { provider: 'elsewhere', model: 'unknown', ...used },
    ],
  });
  // Two prices later every attempt and event of the model has two corrections.
  const model = await server.services.prisma.model.findFirstOrThrow({ where: { provider: { slug: 'steady' } } });
  const day = 24 * 3_600_000;
  const span = { from: new Date(Date.now() - day).toISOString(), to: new Date(Date.now() + day).toISOString() };
  for (const inputPrice of ['4', '0.5']) {
    await must('updateModel', 'UpdateModelInput', { id: model.id, inputPrice, outputPrice: '9' });
    await must('repriceUsage', 'RepriceUsageInput', { ...span, includePriced: true, isDryRun: false });
  }
}, 60_000);
afterAll(async () => {
  for (const close of closers) await close();
});

async function must(name: string, type: string, input: object): Promise<void> {
  const { data, errors } = await server.query<Record<string, object>, object>(
    `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`,
    { input },
  );
  expect(errors).toEqual([]);
  expect(data[name]).not.toHaveProperty('message');
}

async function sql(statement: string, values: unknown[] = []) {
  return (await server.services.pool.query(statement, values)).rows;
}

async function send(body: object): Promise<void> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'default', temperature: 0, messages: [{ role: 'user', content: 'Hello' }], ...body }),
  });
  expect(response.status).toBe(200);
  await response.text();
}

async function examine(): Promise<Finding[]> {
  const findings: Finding[] = [];
  const isRight = await reconcile(server.connection, 'UTC', (finding) => findings.push(finding));
  expect(isRight).toBe(findings.every(({ wrong }) => wrong.length === 0));
  return findings;
}

const names = (findings: readonly Finding[]) =>
  findings.flatMap(({ name, wrong }) => (wrong.length > 0 ? [name] : [])).sort();

/** Of the provider whose price stays. */
const ONE_ATTEMPT = `(SELECT id FROM attempts WHERE status = 'SUCCEEDED' AND provider_slug = 'failing' ORDER BY id LIMIT 1)`;
const ONE_COMPLETION = `(SELECT completion_id FROM attempts WHERE id = ${ONE_ATTEMPT})`;
const ONE_HOUR = `(grain, bucket, series_id) = (SELECT grain, bucket, series_id FROM rollups r
  JOIN rollup_series s ON s.id = r.series_id WHERE grain = 'HOUR' AND subject = 'ATTEMPT' AND status = 'SUCCEEDED' ORDER BY s.id LIMIT 1)`;
const ONE_MINUTE = `(grain, bucket, series_id) = (SELECT grain, bucket, series_id FROM rollups r
  JOIN rollup_series s ON s.id = r.series_id WHERE grain = 'MINUTE' AND subject = 'COMPLETION' ORDER BY s.id, bucket LIMIT 1)`;
const LAST_CORRECTION = `(SELECT id FROM corrections WHERE attempt_id IS NOT NULL ORDER BY seq DESC LIMIT 1)`;
const HOURS = 'sums of attempts by the hour';
const ALL_SUMS = ['hour', 'minute'].flatMap((grain) => [
  `sums of attempts by the ${grain}`,
  `sums of completions by the ${grain}`,
]);

/** A change by hand, what takes it back, and which checks have to tell of it. */
const TAMPERINGS: [what: string, change: string, undo: string, told: string[]][] = [
  [
    'the cost of a completion',
    `UPDATE completions SET cost = cost + 1 WHERE id = ${ONE_COMPLETION}`,
    `UPDATE completions SET cost = cost - 1 WHERE id = ${ONE_COMPLETION}`,
    ['completions and their attempts', 'sums of completions by the hour', 'sums of completions by the minute'],
  ],
  [
    'the number of attempts',
    `UPDATE completions SET attempt_count = 3 WHERE id = ${ONE_COMPLETION}`,
    `UPDATE completions SET attempt_count = 1 WHERE attempt_count = 3`,
    ['completions and their attempts'],
  ],
  [
    'the tokens of an attempt',
    `UPDATE attempts SET output_tokens = output_tokens + 1 WHERE id = ${ONE_ATTEMPT}`,
    `UPDATE attempts SET output_tokens = output_tokens - 1 WHERE id = ${ONE_ATTEMPT}`,
    ['completions and their attempts', 'costs by usage and price', HOURS, 'sums of attempts by the minute'],
  ],
  [
    'the cost of an attempt, down to what one picodollar is',
    `UPDATE attempts SET cost = cost + 1 WHERE id = ${ONE_ATTEMPT}`,
    `UPDATE attempts SET cost = cost - 1 WHERE id = ${ONE_ATTEMPT}`,
    [
      ...['completions and their attempts', 'costs by usage and price', 'spending of budgets', 'spending of credits'],
      ...[HOURS, 'sums of attempts by the minute'],
    ],
  ],
  [
    'whose a completion was',
    `UPDATE completions SET user_id = NULL WHERE id = ${ONE_COMPLETION}`,
    `UPDATE completions SET user_id = (SELECT id FROM users) WHERE user_id IS NULL`,
    [...ALL_SUMS, 'spending of budgets', 'spending of credits'],
  ],
  [
    'a price',
    `UPDATE price_versions SET components = jsonb_set(components, '{input}', '3000001') WHERE components->>'input' = '3000000'`,
    `UPDATE price_versions SET components = jsonb_set(components, '{input}', '3000000') WHERE components->>'input' = '3000001'`,
    ['costs by usage and price'],
  ],
  ...[
    ...['requests', 'input_tokens', 'output_tokens', 'cached_tokens', 'reasoning_tokens', 'cost', 'unpriced'],
    ...['latency_ms', 'time_to_first_token_ms', 'timed_first_tokens', 'timed_requests'],
  ].map((column): [string, string, string, string[]] => [
    `the roll-up ${column}`,
    `UPDATE rollups SET ${column} = ${column} + 1 WHERE ${ONE_HOUR}`,
    `UPDATE rollups SET ${column} = ${column} - 1 WHERE ${ONE_HOUR}`,
    column === 'timed_requests' ? [HOURS, 'sums of completions by the hour'] : [HOURS],
  ]),
  [
    'a roll-up that there should not be',
    `CREATE TABLE made_up AS SELECT * FROM rollups WHERE ${ONE_MINUTE}; UPDATE made_up SET bucket = '2020-01-01';
     INSERT INTO rollups SELECT * FROM made_up`,
    `DELETE FROM rollups WHERE bucket = '2020-01-01'; DROP TABLE made_up`,
    ['sums of completions by the minute'],
  ],
  [
    'a histogram of latencies',
    `UPDATE rollup_latencies SET count = count + 1 WHERE ${ONE_MINUTE}`,
    `UPDATE rollup_latencies SET count = count - 1 WHERE ${ONE_MINUTE}`,
    ['sums of completions by the minute'],
  ],
  [
    'what a correction adds',
    'UPDATE corrections SET difference = difference + 1 WHERE seq = (SELECT max(seq) FROM corrections)',
    'UPDATE corrections SET difference = difference - 1 WHERE seq = (SELECT max(seq) FROM corrections)',
    ['corrections and what they correct'],
  ],
  [
    'what a correction says that it cost',
    `UPDATE corrections SET cost = cost + 1 WHERE id = ${LAST_CORRECTION}`,
    `UPDATE corrections SET cost = cost - 1 WHERE id = ${LAST_CORRECTION}`,
    [
      ...[
        'corrections and what they correct',
        'costs by usage and price',
        'spending of budgets',
        'spending of credits',
      ],
      ...ALL_SUMS,
    ],
  ],
  [
    'the tokens of usage made elsewhere',
    `UPDATE usage_events SET output_tokens = output_tokens + 1 WHERE provider_slug = 'elsewhere'`,
    `UPDATE usage_events SET output_tokens = output_tokens - 1 WHERE provider_slug = 'elsewhere'`,
    ALL_SUMS,
  ],
  [
    'the number of the head',
    'UPDATE ledger_head SET seq = seq + 1',
    'UPDATE ledger_head SET seq = seq - 1',
    ['numbers of the ledger'],
  ],
  [
    'the number of a row',
    'UPDATE completions SET seq = 2 WHERE seq = 3',
    `UPDATE completions SET seq = 3 WHERE id = (SELECT max(id::text)::uuid FROM completions WHERE seq = 2)`,
    ['numbers of the ledger'],
  ],
  [
    'what a budget has spent',
    `UPDATE allowances SET settled = settled - 1 WHERE id = (SELECT id FROM allowances WHERE kind = 'BUDGET' ORDER BY id LIMIT 1)`,
    `UPDATE allowances SET settled = settled + 1 WHERE id = (SELECT id FROM allowances WHERE kind = 'BUDGET' ORDER BY id LIMIT 1)`,
    ['spending of budgets'],
  ],
  [
    'the period of a budget, which is gone',
    `UPDATE allowances SET starts_at = starts_at - interval '1 year', ends_at = ends_at - interval '1 year' WHERE ends_at IS NOT NULL`,
    `UPDATE allowances SET starts_at = starts_at + interval '1 year', ends_at = ends_at + interval '1 year' WHERE ends_at IS NOT NULL`,
    ['spending of budgets'],
  ],
  [
    'the limit of a period',
    `UPDATE allowances SET "limit" = "limit" + 1 WHERE kind = 'BUDGET'`,
    `UPDATE allowances SET "limit" = "limit" - 1 WHERE kind = 'BUDGET'`,
    ['spending of budgets'],
  ],
  [
    'what credits there are',
    `UPDATE allowances SET "limit" = "limit" + 1 WHERE kind = 'CREDITS'`,
    `UPDATE allowances SET "limit" = "limit" - 1 WHERE kind = 'CREDITS'`,
    ['credits and their grants'],
  ],
  [
    'what credits were spent',
    `UPDATE allowances SET settled = settled + 1 WHERE kind = 'CREDITS'`,
    `UPDATE allowances SET settled = settled - 1 WHERE kind = 'CREDITS'`,
    ['spending of credits'],
  ],
  [
    'what is set aside',
    `ALTER TABLE allowances DISABLE TRIGGER allowances_guard_grant; UPDATE allowances SET leased = leased + 1 WHERE kind = 'CREDITS'`,
    `UPDATE allowances SET leased = leased - 1 WHERE kind = 'CREDITS'; ALTER TABLE allowances ENABLE TRIGGER allowances_guard_grant`,
    ['what is set aside of budgets and credits'],
  ],
  [
    'a lease of a server that is gone',
    `ALTER TABLE allowances DISABLE TRIGGER allowances_guard_grant; UPDATE allowances SET leased = leased + 1 WHERE kind = 'CREDITS';
     INSERT INTO lease_holders (id, server_id, renewed_at) VALUES ('019c0000-0000-7000-8000-000000000000', 'gone', now() - interval '3 hours');
     INSERT INTO leases (allowance_id, holder_id, amount)
       SELECT id, '019c0000-0000-7000-8000-000000000000', 1 FROM allowances WHERE kind = 'CREDITS'`,
    `DELETE FROM lease_holders WHERE server_id = 'gone'; UPDATE allowances SET leased = leased - 1 WHERE kind = 'CREDITS';
     ALTER TABLE allowances ENABLE TRIGGER allowances_guard_grant`,
    ['what is set aside of budgets and credits'],
  ],
];

describe('a ledger with traffic', () => {
  it('agrees with every sum, and says the numbers of both sides', async () => {
    const findings = await examine();
    expect(findings.flatMap(({ wrong }) => wrong)).toEqual([]);
    const [{ completions, attempts, cost } = { completions: 0, attempts: 0, cost: '' }] = await sql(
      `SELECT count(*)::int AS completions, sum(attempt_count)::int AS attempts, sum(cost)::text AS cost FROM completions`,
    );
    expect([completions, attempts > 12, BigInt(cost) > 0n]).toEqual([12, true, true]);
    const sides = new Map(findings.map((finding) => [finding.name, finding.sides]));
    expect(sides.get('completions and their attempts')).toMatch(
      new RegExp(`^12 completions of (\\$[\\d.]+), ${attempts} attempts of \\1$`),
    );
    expect(sides.get(HOURS)).toMatch(/^sums of (\d+ attempts of \$[\d.]+), rows of \1$/);
    expect(sides.get('spending of budgets')).toMatch(/^6 periods of (\$[\d.]+), ledger \1$/);
  });

  it.each(TAMPERINGS)('finds and names %s that was changed by hand', async (_what, change, undo, told) => {
    await server.services.pool.query(change);
    try {
      expect(names(await examine())).toEqual([...told].sort());
    } finally {
      await server.services.pool.query(undo);
    }
  });

  it('agrees again once all of that was taken back', async () => {
    expect(names(await examine())).toEqual([]);
  });

  it('agrees while a completion runs of which an attempt is on the ledger already', async () => {
    await sql(`CREATE TABLE set_aside AS SELECT * FROM completions WHERE id = ${ONE_COMPLETION}`);
    // As it is before its end: its attempts are there and counted, and the completion is not.
    const subtract = (sign: number) => `
      UPDATE rollups r SET requests = requests + ${sign}, cost = r.cost + ${sign} * c.cost,
        input_tokens = r.input_tokens + ${sign} * c.input_tokens, output_tokens = r.output_tokens + ${sign} * c.output_tokens,
        cached_tokens = r.cached_tokens + ${sign} * coalesce(c.cached_tokens, 0),
        reasoning_tokens = r.reasoning_tokens + ${sign} * coalesce(c.reasoning_tokens, 0),
        latency_ms = r.latency_ms + ${sign} * c.latency_ms, timed_requests = timed_requests + ${sign},
        time_to_first_token_ms = r.time_to_first_token_ms + ${sign} * coalesce(c.time_to_first_token_ms, 0),
        timed_first_tokens = timed_first_tokens + ${sign} * (c.time_to_first_token_ms IS NOT NULL)::int
      FROM rollup_series s, set_aside c
      WHERE s.id = r.series_id AND s.subject = 'COMPLETION' AND r.bucket = date_trunc(r.grain::text, c.started_at, 'UTC')
        AND s.status = c.status AND s.provider_slug = c.provider_slug AND s.model = c.model
        AND s.user_id IS NOT DISTINCT FROM c.user_id AND s.target_id IS NOT DISTINCT FROM c.target_id`;
    await sql(subtract(-1));
    await sql('DELETE FROM completions WHERE id IN (SELECT id FROM set_aside)');
    const told = await examine();
    await sql('INSERT INTO completions SELECT * FROM set_aside');
    await sql(subtract(1));
    // Its number is missing, and so is its latency from the histogram of those that have ended: both are made up here.
    expect(names(told)).toEqual([
      'numbers of the ledger',
      'sums of completions by the hour',
      'sums of completions by the minute',
    ]);
    expect(told.find(({ name }) => name === 'spending of budgets')?.sides).toContain('of completions that still run');
    expect(names(await examine())).toEqual([]);
  });

  it('compares only what is left once old rows were deleted', async () => {
    const { pool } = server.services;
    const signal = new AbortController().signal;
    const inTwoMonths = new Date(new Date().setUTCMonth(new Date().getUTCMonth() + 2, 15));
    await deleteOldRows(pool, { months: 1, now: inTwoMonths, signal, log: createLog({ logLevel: 'silent' }) });
    expect(await sql('SELECT id FROM completions')).toEqual([]);
    const findings = await examine();
    expect(names(findings)).toEqual([]);
    expect(findings.find(({ name }) => name === 'spending of budgets')?.sides).toContain('reach further back');
  });
});
