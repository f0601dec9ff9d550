import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { type Answer, connectProviders, json, startUpstream, type Upstream, whole } from '../kit/upstream.ts';

const SLUGS = ['cheap', 'usual', 'dear'] as const;
type Slug = (typeof SLUGS)[number];

let server: TestServer;
let upstreams: Record<Slug, Upstream>;
let answers: Partial<Record<Slug, Answer>>;

beforeAll(async () => {
  server = await startServer({ logLevel: 'error', circuitProbeMs: 0 });
  const open = (slug: Slug) =>
    startUpstream((response, received) => (answers[slug] ?? json(whole(`from ${slug}`)))(response, received));
  upstreams = { cheap: await open('cheap'), usual: await open('usual'), dear: await open('dear') };
  await connectProviders(server, upstreams, { cheap: ['0.1', '0.2'], usual: ['1', '2'], dear: ['10', '20'] });
});

afterAll(async () => {
  await server?.close();
  for (const upstream of Object.values(upstreams ?? {})) await upstream.close();
});

beforeEach(() => {
  answers = {};
  for (const { received } of Object.values(upstreams)) received.length = 0;
});

/** A mutation that has to succeed. */
async function must(name: string, type: string, input: object): Promise<void> {
  const { data, errors } = await server.query<Record<string, { __typename: string }>, object>(
    `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`,
    { input },
  );
  expect(errors).toEqual([]);
  expect(data[name]).not.toHaveProperty('message');
}

let routes = 0;

/** A route over these providers, and its name. */
async function createRoute(over: object, targets: readonly (Slug | { provider: Slug })[] = SLUGS): Promise<string> {
  const slug = `route-${routes++}`;
  const all = targets.map((target, index) => ({
    priority: index,
    ...(typeof target === 'string' ? { provider: target } : target),
  }));
  await must('createRoute', 'CreateRouteInput', { name: slug, slug, targets: all, ...over });
  return slug;
}

function post(model: string, headers: Record<string, string> = {}, over: object = {}): Promise<Response> {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}`, ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...over }),
  });
}

/** Who answers. */
async function who(model: string, headers: Record<string, string> = {}): Promise<string | null> {
  const response = await post(model, headers);
  expect(response.status, await response.text()).toBe(200);
  return response.headers.get('x-signalbox-provider');
}

const calls = () => SLUGS.map((slug) => upstreams[slug].received.length);

describe('power levels', () => {
  const level = (name: string) => ({ 'x-signalbox-power-level': name });

  test('narrow the candidates of a route that allows it, by the request or by the user’s own preference', async () => {
    const route = await createRoute({ allowsPowerLevel: true });
    expect(await who(route)).toBe('usual');
    expect(await who(route, level('ECO'))).toBe('cheap');
    expect(await who(route, level('PRECISION'))).toBe('dear');
    await must('updateMySettings', 'UpdateMySettingsInput', { powerLevel: 'PRECISION' });
    expect(await who(route)).toBe('dear');
    await must('updateMySettings', 'UpdateMySettingsInput', { powerLevel: 'BALANCED' });
    expect(await who(route)).toBe('usual');
  });

  test('change nothing where the route does not allow it', async () => {
    const route = await createRoute({});
    expect(await who(route, level('PRECISION'))).toBe('cheap');
  });

  test('that no model has are told, and all are considered', async () => {
    const route = await createRoute({ allowsPowerLevel: true }, ['usual', 'dear']);
    const response = await post(route, level('ECO'));
    expect(response.headers.get('x-signalbox-provider')).toBe('usual');
    expect(response.headers.get('x-signalbox-warnings')).toMatch(/no model at the power level ECO/);
  });

  test('that there are not are refused', async () => {
    const response = await post('default', level('MAXIMAL'));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'x-signalbox-power-level' } });
  });
});

describe('strategies by price', () => {
  test('COST calls the cheapest, and the next one when it fails', async () => {
    const route = await createRoute({ strategy: 'COST' }, ['dear', 'usual', 'cheap']);
    expect(await who(route)).toBe('cheap');
    answers.cheap = json({}, 503);
    expect(await who(route)).toBe('usual');
  });

  test('MULTI tries all of the first group before the second one', async () => {
    const targets = [
      { provider: 'dear' as const, priority: 1 },
      { provider: 'usual' as const, priority: 1 },
      { provider: 'cheap' as const, priority: 2 },
    ];
    const route = await createRoute({ mode: 'MULTI', strategy: 'COST' }, targets);
    expect(await who(route)).toBe('usual');
    answers.usual = json({}, 500);
    expect(await who(route)).toBe('dear');
    answers.dear = json({}, 500);
    expect(await who(route)).toBe('cheap');
  });
});

describe('what stands in', () => {
  test('fallbacks come after all targets: a route, a model behind a provider, a model', async () => {
    const spare = await createRoute({}, ['usual']);
    const route = await createRoute({ fallbacks: [spare, 'dear/m'] }, ['cheap']);
    expect(await who(route)).toBe('cheap');
    answers.cheap = json({}, 500);
    expect(await who(route)).toBe('usual');
    answers.usual = json({}, 500);
    expect(await who(route)).toBe('dear');
  });

  test('preferred regions come first, in their order', async () => {
    const { data } = await server.query<{ providers: { id: string; slug: string; version: number }[] }, object>(
      '{ providers { id slug } }',
    );
    const idOf = (slug: Slug) => data.providers.find((provider) => provider.slug === slug)?.id;
    await must('updateProvider', 'UpdateProviderInput', { id: idOf('dear'), region: 'eu' });
    await must('updateProvider', 'UpdateProviderInput', { id: idOf('usual'), region: 'us' });
    expect(await who(await createRoute({ preferredRegions: ['eu', 'us'] }))).toBe('dear');
    expect(await who(await createRoute({ preferredRegions: ['us'] }))).toBe('usual');
    expect(await who(await createRoute({ preferredRegions: ['moon'] }))).toBe('cheap');
  });

  test('no more calls than the route allows, and not one after its time is over', async () => {
    for (const slug of SLUGS) answers[slug] = json({}, 500);
    const never = await post(await createRoute({ maxRetries: 0 }));
    expect([never.status, never.headers.get('x-signalbox-attempts')]).toEqual([502, '1']);
    answers = Object.fromEntries(SLUGS.map((slug) => [slug, () => undefined]));
    const route = await createRoute({ totalTimeoutMs: 300 });
    const startedAt = Date.now();
    const late = await post(route);
    expect(Date.now() - startedAt).toBeLessThan(1_500);
    expect(late.status).toBe(504);
    expect(await late.json()).toMatchObject({ error: { message: 'cheap did not finish within 0.3 s.' } });
    expect(calls()).toEqual([2, 0, 0]);
  });
});

describe('sticky splits', () => {
  test('send the requests of a session to the same target, and of many sessions to each its share', async () => {
    const targets = SLUGS.map((provider, index) => ({ provider, weight: [50, 30, 20][index] }));
    const route = await createRoute({ strategy: 'WEIGHTED', stickyBy: 'SESSION' }, targets);
    const session = (index: number) => ({ 'x-signalbox-session': `session ${index}` });
    const first = await Promise.all(Array.from({ length: 60 }, (_, index) => who(route, session(index))));
    const second = await Promise.all(Array.from({ length: 60 }, (_, index) => who(route, session(index))));
    expect(second).toEqual(first);
    expect(new Set(first).size).toBe(3);
  });

  test('share out by turns what has no session', async () => {
    const targets = SLUGS.map((provider, index) => ({ provider, weight: [50, 30, 20][index] }));
    const route = await createRoute({ strategy: 'WEIGHTED', stickyBy: 'SESSION' }, targets);
    for (let turn = 0; turn < 10; turn++) await who(route);
    expect(calls()).toEqual([5, 3, 2]);
  });

  test('by user send all of a user’s requests to one target', async () => {
    const targets = SLUGS.map((provider) => ({ provider, weight: 1 }));
    const route = await createRoute({ strategy: 'WEIGHTED', stickyBy: 'USER' }, targets);
    const seen = new Set<string | null>();
    for (let turn = 0; turn < 9; turn++) seen.add(await who(route));
    expect(seen.size).toBe(1);
  });
});

describe('the response cache of a route', () => {
  const logged = async (response: Response) => {
    await server.services.ledger.drained();
    const { data } = await server.query<{ request: object | null }, object>(
      'query ($id: ID!) { request(id: $id) { status isCached cost provider model usage { totalTokens } attempts { number } } }',
      { id: response.headers.get('x-signalbox-request-id') },
    );
    return data.request;
  };

  test('serves the same request again without a call and without cost, and says so', async () => {
    const route = await createRoute({ cacheTtlSeconds: 60 }, ['usual']);
    const first = await post(route);
    const second = await post(route);
    expect(first.headers.get('x-signalbox-cached')).toBeNull();
    expect(second.headers.get('x-signalbox-cached')).toBe('true');
    expect(await second.text()).toBe(await first.text());
    expect(calls()).toEqual([0, 1, 0]);
    const same = { status: 'SUCCEEDED', provider: 'usual', model: 'm' };
    expect(await logged(first)).toEqual({
      ...{ ...same, isCached: false, cost: '0.00002' },
      ...{ usage: { totalTokens: 15 }, attempts: [{ number: 1 }] },
    });
    expect(await logged(second)).toEqual({
      ...{ ...same, isCached: true, cost: '0' },
      ...{ usage: { totalTokens: 0 }, attempts: [] },
    });
  });

  test('serves streams as well, event by event as they came, on every surface that asks the same', async () => {
    const route = await createRoute({ cacheTtlSeconds: 60 }, [{ provider: 'usual' }]);
    const chunkOf = (content: string, reason: string | null) =>
      `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: reason }] })}\n\n`;
    answers.usual = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`${chunkOf('A', null)}${chunkOf('B', 'stop')}data: [DONE]\n\n`);
    };
    const first = await (await post(route, {}, { stream: true })).text();
    const second = await post(route, {}, { stream: true });
    expect(second.headers.get('x-signalbox-attempts')).toBe('0');
    expect(await second.text()).toBe(first);
    expect(first).toContain('[DONE]');
    expect(calls()).toEqual([0, 1, 0]);
  });

  test('knows other requests, other callers and changed routes apart', async () => {
    const route = await createRoute({ cacheTtlSeconds: 60 }, ['usual']);
    await post(route);
    await post(route, {}, { temperature: 0.5 });
    expect(calls()).toEqual([0, 2, 0]);
    const other = await server.services.prisma.user.create({ data: { email: 'other@example.com', passwordHash: '' } });
    await post(route, { authorization: `Bearer ${await server.services.tokens.sign(other.id)}` });
    expect(calls()).toEqual([0, 3, 0]);
    await must('updateRoute', 'UpdateRouteInput', { id: route, targets: [{ provider: 'dear' }] });
    await post(route);
    expect(calls()).toEqual([0, 3, 1]);
  });

  test('keeps no failure and no answer that was cut off, and nothing for longer than it shall', async () => {
    const route = await createRoute({ cacheTtlSeconds: 1, maxRetries: 0 }, ['usual']);
    answers.usual = json({}, 500);
    await post(route);
    answers.usual = json({
      ...whole('cut'),
      choices: [{ index: 0, message: { content: 'cut' }, finish_reason: 'length' }],
    });
    await post(route);
    await post(route);
    expect(calls()).toEqual([0, 3, 0]);
    answers = {};
    await post(route);
    expect((await post(route)).headers.get('x-signalbox-cached')).toBe('true');
    await eventually(async () => expect((await post(route)).headers.get('x-signalbox-cached')).toBeNull());
  });

  test('is off where the route does not say how long', async () => {
    const route = await createRoute({}, ['usual']);
    await post(route);
    await post(route);
    expect(calls()).toEqual([0, 2, 0]);
  });
});
