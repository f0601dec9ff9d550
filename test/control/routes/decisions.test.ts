import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { until } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { connectProviders, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';
import { countingPool, executeWith } from '../execute.ts';
import { changeRoute, FAILURES } from './kit.ts';

interface Candidate {
  targetId: string | null;
  provider: string;
  model: string;
  position: number | null;
  score: number | null;
  blendedPrice: string | null;
  reason: string;
  isCircuitOpen: boolean;
  [field: string]: unknown;
}

interface Decision {
  decidedAt: string;
  turn: string | null;
  slot: number | null;
  plan: Candidate[];
  candidates: Candidate[];
}

interface Explanation {
  requestId: string;
  route: string | null;
  isReproduced: boolean | null;
  decision: Decision | null;
}

const CANDIDATE = `targetId provider model fallback position score blendedPrice latencyMs quality restingUntil
  isCircuitOpen reason`;
const DECISION = `decidedAt turn slot plan { ${CANDIDATE} } candidates { ${CANDIDATE} }`;
const STATE = `state { picks targets { targetId provider model circuit recentFailures openSince probeAt restingUntil
  firstTokenMs answerMs } }`;

let server: TestServer;
let a: Upstream;
let b: Upstream;
let isDown = false;
beforeAll(async () => {
  server = await startServer();
  a = await startUpstream(json(whole('from a')));
  b = await startUpstream((response, received) => json(whole('from b'), isDown ? 500 : 200)(response, received));
  await connectProviders(server, { a, b });
});
afterAll(async () => {
  await server.close();
  await Promise.all([a.close(), b.close()]);
});

let count = 0;
let slug: string;
beforeEach(() => {
  isDown = false;
  slug = `decided-${count++}`;
});

const create = (input: object) => changeRoute(server, 'createRoute', { name: slug, ...input });
const BOTH = ['a', 'b'].map((provider) => ({ provider, models: ['m'] }));

async function select(input: object = {}) {
  const { data, errors } = await server.query<
    { selectRoute: { decision: Decision; code: string; issues?: { path: string }[] } },
    object
  >(
    `mutation($input: SelectRouteInput!) { selectRoute(input: $input) {
       ... on SelectRouteSuccess { decision { ${DECISION} } } ${FAILURES} } }`,
    { input: { routeId: slug, ...input } },
  );
  expect(errors).toEqual([]);
  return data.selectRoute;
}

const first = async (input: object = {}) => (await select(input)).decision.plan[0]?.provider;

/** The id of a completion through the route, and who answered. */
async function complete(model = slug, status = 200) {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  expect(response.status, await response.text()).toBe(status);
  return {
    requestId: response.headers.get('x-signalbox-request-id') ?? '',
    provider: response.headers.get('x-signalbox-provider'),
  };
}

async function explain(requestId: string): Promise<Explanation | null> {
  const { data, errors } = await server.query<{ explainRoute: Explanation | null }, object>(
    `query($id: ID!) { explainRoute(requestId: $id) { requestId route isReproduced decision { ${DECISION} } } }`,
    { id: requestId },
  );
  expect(errors).toEqual([]);
  return data.explainRoute;
}

const explained = (requestId: string) => until(() => explain(requestId), 'the request in the ledger');

interface State {
  picks: string;
  targets: Record<string, unknown>[];
}

async function state(id = slug): Promise<State | null> {
  const { data, errors } = await server.query<{ route: { state: State | null } }, object>(
    `query($id: ID!) { route(id: $id) { ${STATE} } }`,
    { id },
  );
  expect(errors).toEqual([]);
  return data.route.state;
}

describe('selectRoute', () => {
  test('tells the next pick and counts as one: completions go on behind it', async () => {
    await create({ strategy: 'ROUND_ROBIN', targets: BOTH });
    expect(await first()).toBe('a');
    expect((await complete()).provider).toBe('b');
    const { decision } = await select();
    expect(decision.turn).toBe('2');
    expect(decision.plan.map(({ provider, position }) => [provider, position])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    expect(Math.abs(Date.parse(decision.decidedAt) - Date.now())).toBeLessThan(5_000);
    expect((await state())?.picks).toBe('3');
  });

  test('tells every candidate with its score, its price and why', async () => {
    await server.query(
      `mutation { updateProvider(input: { id: "b", models: [{ name: "cheap", inputPrice: "1", outputPrice: "5" },
         { name: "dear", inputPrice: "3", outputPrice: "15", quality: 80 }] }) { __typename } }`,
    );
    const { route } = await create({
      strategy: 'COST',
      targets: [
        { provider: 'b', models: ['dear'] },
        { provider: 'b', models: ['cheap'] },
      ],
      fallbacks: ['a/m'],
    });
    const [dear, cheap] = route.targets;
    const { plan, candidates } = (await select()).decision;
    expect(plan.map(({ model, position }) => `${position} ${model}`)).toEqual(['1 cheap', '2 dear', '3 m']);
    expect(candidates).toMatchObject([
      { targetId: dear?.id, model: 'dear', position: 2, blendedPrice: '6', quality: 80, fallback: null },
      { targetId: cheap?.id, model: 'cheap', position: 1, blendedPrice: '2', quality: null, score: 100 },
      { targetId: null, provider: 'a', model: 'm', fallback: 'a/m', score: null },
    ]);
    expect(candidates[0]?.score).toBeLessThan(100);
    expect(candidates[1]?.reason).toContain('cheapest');
  });

  test('counts picks by latency, which are counted for each kind of answer, together', async () => {
    await create({ strategy: 'LATENCY', targets: BOTH });
    await select();
    await complete();
    expect((await state())?.picks).toBe('2');
  });

  test('a session stays with its target, and its picks do not count', async () => {
    await create({ strategy: 'WEIGHTED', stickyBy: 'SESSION', targets: BOTH });
    const picks = new Map<string, string | undefined>();
    for (const sessionKey of ['s1', 's2', 's3', 's4', 's5', 's6', 's7', 's8'])
      picks.set(sessionKey, await first({ sessionKey }));
    expect(new Set(picks.values()).size).toBe(2);
    for (const [sessionKey, provider] of picks) {
      const { decision } = await select({ sessionKey });
      expect(decision).toMatchObject({ turn: null, slot: expect.any(Number) });
      expect(decision.plan[0]?.provider).toBe(provider);
    }
    expect((await state())?.picks).toBe('0');
    expect((await select()).decision).toMatchObject({ turn: '0', slot: null });
  });

  test('narrows by a hint and by the power level', async () => {
    await server.query(
      `mutation { updateProvider(input: { id: "a", models: [{ name: "eco", inputPrice: "0.1", outputPrice: "0.1" },
         { name: "precise", inputPrice: "10", outputPrice: "50" }] }) { __typename } }`,
    );
    await create({
      mode: 'SPECIFIC',
      allowsPowerLevel: true,
      targets: [{ provider: 'a', models: ['eco', 'precise'] }],
    });
    const models = async (input: object) => (await select(input)).decision.plan.map(({ model }) => model);
    expect(await models({ powerLevel: 'ECO' })).toEqual(['eco']);
    expect(await models({ powerLevel: 'PRECISION' })).toEqual(['precise']);
    expect(await models({ hint: 'eco', powerLevel: 'ECO' })).toEqual(['eco']);
    expect(await select({ hint: 'nothing' })).toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  test.each([
    ['a hint for a route that takes none', { hint: 'a' }, 'VALIDATION'],
    ['an empty hint', { hint: '' }, 'VALIDATION'],
    ['a session key that is too long', { sessionKey: 'x'.repeat(201) }, 'VALIDATION'],
    ['a route that is not there', { routeId: 'nowhere' }, 'ROUTE_NOT_FOUND'],
    ['an id that is nobody’s', { routeId: uuidv7() }, 'ROUTE_NOT_FOUND'],
  ])('refuses %s', async (_what, input, code) => {
    await create({ strategy: 'ROUND_ROBIN', targets: BOTH });
    expect(await select(input)).toMatchObject({ code });
    expect((await state())?.picks).toBe('0');
  });

  test('finds a route by its id and its alias, and none that is switched off', async () => {
    const { route } = await create({ aliases: [`${slug}-alias`], targets: BOTH });
    for (const routeId of [route.id, route.id.toUpperCase(), `${slug}-alias`])
      expect(await first({ routeId })).toBe('a');
    await changeRoute(server, 'updateRoute', { id: slug, isActive: false });
    expect(await select()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    expect(await state()).toBeNull();
  });
});

describe('explainRoute', () => {
  test('tells of a completion what was picked and why, and comes to the same plan', async () => {
    const { route } = await create({ strategy: 'ROUND_ROBIN', targets: BOTH });
    await complete();
    const second = await complete();
    const { decision, ...request } = await explained(second.requestId);
    expect(request).toEqual({ requestId: second.requestId, route: slug, isReproduced: true });
    expect(decision).toMatchObject({
      turn: '1',
      plan: [
        { targetId: route.targets[1]?.id, provider: 'b', position: 1, reason: expect.stringContaining('turn') },
        { targetId: route.targets[0]?.id, provider: 'a', position: 2 },
      ],
    });
    expect(decision?.plan[0]?.provider).toBe(second.provider);
  });

  test('goes by what was then, whatever became of the route', async () => {
    await create({ strategy: 'ROUND_ROBIN', targets: BOTH });
    const { requestId } = await complete();
    const before = await explained(requestId);
    await changeRoute(server, 'updateRoute', { id: slug, strategy: 'FAILOVER', targets: [{ provider: 'b' }] });
    await complete();
    expect(await explain(requestId)).toEqual(before);
  });

  test('says so when a record does not lead to the plan', async () => {
    await create({ strategy: 'ROUND_ROBIN', targets: BOTH });
    const { requestId } = await complete();
    await explained(requestId);
    await server.services.pool.query(
      `UPDATE completions SET decision = jsonb_set(decision, '{turn}', '1') WHERE id = $1`,
      [requestId],
    );
    expect((await explain(requestId))?.isReproduced).toBe(false);
  });

  test('tells of a completion that named a model, and of none that is not there', async () => {
    const { requestId } = await complete('a/m');
    expect(await explained(requestId)).toMatchObject({
      ...{ route: null, isReproduced: true },
      decision: { plan: [{ provider: 'a', model: 'm', targetId: null }] },
    });
    for (const wrong of [uuidv7(), 'nonsense', '']) expect(await explain(wrong)).toBeNull();
  });

  test('has no decision of a request that took none, or whose facts are gone', async () => {
    const { requestId } = await complete('a/m');
    await explained(requestId);
    await server.services.pool.query(
      `UPDATE completions SET decision = jsonb_set(decision, '{health}', '"gone"') WHERE id = $1`,
      [requestId],
    );
    expect(await explain(requestId)).toMatchObject({ requestId, decision: null, isReproduced: null });
    await server.query('mutation { testProvider(input: { id: "a" }) { __typename } }');
    const id = await until(async () => {
      const { rows } = await server.services.pool.query('SELECT id FROM completions WHERE decision IS NULL');
      return rows[0]?.id as string | undefined;
    });
    expect(await explain(id)).toMatchObject({ requestId: id, decision: null, isReproduced: null });
  });

  test('has no decision once its facts are older than they are kept, which each server sees to when it starts', async () => {
    await create({ targets: BOTH });
    const { requestId } = await complete();
    await explained(requestId);
    const { pool } = server.services;
    const facts = async () => (await pool.query('SELECT 1 FROM routing_facts')).rowCount;
    const { rowCount: aged } = await pool.query(
      `UPDATE routing_facts SET created_at = now() - interval '6 days'
        WHERE id = (SELECT decision ->> 'candidates' FROM completions WHERE id = $1)`,
      [requestId],
    );
    const before = (await facts()) ?? 0;
    for (const [decisionRetentionDays, left] of [
      [7, before],
      [3, before - 1],
    ] as const) {
      const peer = await startPeer(server, { decisionRetentionDays });
      await until(async () => (await facts()) === left, `${left} facts`);
      await peer.close();
    }
    expect(aged).toBe(1);
    expect(await explain(requestId)).toMatchObject({ requestId, decision: null, isReproduced: null });
  });

  test('is one statement, and selectRoute and Route.state are none', async () => {
    await create({ strategy: 'ROUND_ROBIN', targets: BOTH });
    const { requestId } = await complete();
    await explained(requestId);
    const sql: string[] = [];
    const prisma = createPrisma(server.connection, 1, (one) => sql.push(one));
    await prisma.$queryRaw`SELECT 1`;
    const statements = async (operation: string) => {
      sql.length = 0;
      const { pool, count } = countingPool(server);
      const { data, errors } = await executeWith(server, { prisma, pool }, operation);
      expect(errors).toBeUndefined();
      expect(JSON.stringify(data)).toContain('"provider":"b"');
      return sql.length + count();
    };
    expect(await statements(`{ explainRoute(requestId: "${requestId}") { decision { ${DECISION} } } }`)).toBe(1);
    const input = `{ routeId: "${slug}" }`;
    const success = `... on SelectRouteSuccess { decision { ${DECISION} } }`;
    expect(await statements(`mutation { selectRoute(input: ${input}) { ${success} } }`)).toBe(0);
    const route = await statements(`{ route(id: "${slug}") { slug } p: providers { provider: slug } }`);
    expect(await statements(`{ route(id: "${slug}") { slug ${STATE} } p: providers { provider: slug } }`)).toBe(route);
    await prisma.$disconnect();
  });
});

describe('Route.state', () => {
  test('shows a target that works, with how fast it is once that is known', async () => {
    const { route } = await create({ targets: [{ provider: 'a', models: ['m'] }] });
    const target = { targetId: route.targets[0]?.id, provider: 'a', model: 'm', circuit: 'CLOSED' };
    for (let turn = 0; turn < 20; turn++) await complete();
    const [seen] = (await state())?.targets ?? [];
    expect(seen).toMatchObject({ ...target, recentFailures: null, openSince: null, probeAt: null, restingUntil: null });
    expect(seen?.answerMs).toBeGreaterThanOrEqual(0);
  });

  test('shows a circuit that opened, and decisions put that target last', async () => {
    await create({ targets: BOTH.toReversed(), maxRetries: 1 });
    isDown = true;
    for (let turn = 0; turn < 6; turn++) await complete();
    const failing = (await state())?.targets.find(({ provider }) => provider === 'b');
    expect(failing).toMatchObject({ circuit: 'OPEN', recentFailures: expect.any(Number) });
    expect(failing?.recentFailures).toBeGreaterThanOrEqual(5);
    expect(Date.parse(String(failing?.probeAt))).toBeGreaterThan(Date.parse(String(failing?.openSince)));
    const { decision } = await select();
    expect(decision.plan[0]).toMatchObject({ provider: 'a', position: 1 });
    const left = decision.candidates.filter(({ isCircuitOpen }) => isCircuitOpen);
    expect(left).toMatchObject([{ provider: 'b', position: 2, reason: expect.stringContaining('circuit') }]);
  });

  test('of a route without targets shows who stands in for them', async () => {
    const active = (await state('default'))?.targets[0];
    expect(active).toMatchObject({ targetId: null, circuit: 'CLOSED' });
  });
});
