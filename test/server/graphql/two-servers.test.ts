import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { anotherAdmin, mutate } from '../../control/providers/kit.ts';
import { eventually } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { connectProviders, json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';

let one: TestServer;
let other: TestServer;
const upstreams: Record<string, Upstream> = {};
/** Providers whose upstreams fail. */
const failing = new Set<string>();

beforeAll(async () => {
  one = await startServer();
  other = await startPeer(one);
  for (const name of ['red', 'blue']) {
    upstreams[name] = await startUpstream((response, received) =>
      (failing.has(name) ? json({ error: { message: 'out of order' } }, 500) : json(whole(name)))(response, received),
    );
  }
  await connectProviders(one, upstreams);
});
afterAll(async () => {
  await other.close();
  await one.close();
  for (const upstream of Object.values(upstreams)) await upstream.close();
});

const succeed = async (server: TestServer, name: string, argument: { id: string } | { input: object }) => {
  const result = await mutate(server, name, argument, '__typename', await anotherAdmin(server));
  expect(result.code).toBeUndefined();
};

/** The status and the provider of a completion over `/v1`. */
async function serve(server: TestServer, model = 'default', apiKey = server.apiKey): Promise<string> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  await response.arrayBuffer();
  return `${response.status} ${response.headers.get('x-signalbox-provider') ?? 'nobody'}`;
}

/** How many milliseconds it takes until the check holds; fails after a second. */
async function within(check: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await eventually(check, 1_000);
  return performance.now() - began;
}

describe('a mutation on one server is served by the other within a second', () => {
  const delays: Record<string, number> = {};
  const served = (what: string, check: () => Promise<void>) =>
    within(check).then((ms) => {
      delays[what] = Math.round(ms);
    });
  const answers = (expected: string, model?: string) => async () => expect(await serve(other, model)).toBe(expected);
  afterAll(() => console.info('milliseconds until the other server serves it:', delays));

  test('another active provider', { retry: 2 }, async () => {
    await succeed(one, 'activateProvider', { id: 'blue' });
    await served('activateProvider', answers('200 blue'));
    await succeed(one, 'activateProvider', { id: 'red' });
    await served('activateProvider, back', answers('200 red'));
  });

  test('a new provider, and its end', { retry: 2 }, async () => {
    const slug = `green-${Date.now()}`;
    const input = { name: slug, slug, kind: 'CUSTOM', baseUrl: upstreams.blue?.url, isEnabled: true };
    await succeed(one, 'createProvider', { input: { ...input, apiKey: 'key-of-green-1234', models: [{ name: 'm' }] } });
    await served('createProvider', answers(`200 ${slug}`, `${slug}/m`));
    await succeed(one, 'deleteProvider', { id: slug });
    await served('deleteProvider', answers('404 nobody', `${slug}/m`));
  });

  test('a traffic split', { retry: 2 }, async () => {
    const slug = `split-${Date.now()}`;
    await succeed(one, 'createRoute', { input: { name: 'Split', slug } });
    const shares = (red: number) => [
      { provider: 'red', percentage: red },
      { provider: 'blue', percentage: 100 - red },
    ];
    await succeed(one, 'setTrafficSplit', { input: { routeId: slug, targets: shares(100) } });
    await served('setTrafficSplit', answers('200 red', slug));
    await succeed(one, 'setTrafficSplit', { input: { routeId: slug, targets: shares(0) } });
    await served('setTrafficSplit, another', answers('200 blue', slug));
    await succeed(one, 'deleteRoute', { id: slug });
  });

  test('a new API key, and its end', { retry: 2 }, async () => {
    const { key, apiKey } = await mutate<{ key: string; apiKey: { id: string } }>(
      one,
      'createApiKey',
      { input: { name: 'short-lived' } },
      'key apiKey { id }',
    );
    const used = (expected: string) => async () => expect(await serve(other, 'default', key)).toBe(expected);
    await served('createApiKey', used('200 red'));
    await succeed(one, 'revokeApiKey', { id: apiKey.id });
    await served('revokeApiKey', used('401 nobody'));
  });
});

describe('subscribers on either server see the same events in the same order', () => {
  /** What a subscription brings, and when, in milliseconds. */
  function watch(server: TestServer, document: string) {
    const events: { text: string; at: number }[] = [];
    const errors: unknown[] = [];
    const stop = server.ws().subscribe(
      { query: `subscription { ${document} }` },
      {
        next: ({ data, errors: failed = [] }) => {
          if (data) events.push({ text: JSON.stringify(data), at: performance.now() });
          errors.push(...failed);
        },
        error: (error) => errors.push(error),
        complete: () => undefined,
      },
    );
    onTestFinished(stop);
    return { events, errors, texts: () => events.map(({ text }) => text) };
  }

  /** Subscribes on both servers, and resolves when both are subscribed. */
  async function watchBoth(document: string, subscribers: (server: TestServer) => number) {
    const both = [watch(one, document), watch(other, document)] as const;
    await eventually(() => expect([one, other].map(subscribers)).toEqual([1, 1]));
    return {
      /** Expects so many events, the same on both, and prints how far apart they were. */
      async expectSame(count: number) {
        await eventually(() => expect(both.map(({ events }) => events.length)).toEqual([count, count]));
        expect(both[1].texts()).toEqual(both[0].texts());
        expect(both.flatMap(({ errors }) => errors)).toEqual([]);
        const apart = both[0].events.map(({ at }, index) => Math.abs(at - (both[1].events[index]?.at ?? at)));
        apart.sort((a, b) => a - b);
        const [median, most] = [apart[count >> 1] ?? 0, apart.at(-1) ?? 0].map(Math.round);
        console.info(`${document.split(' ')[0]}: ${count} events, apart by ${median} ms (median), ${most} ms at most`);
        expect(most).toBeLessThan(1_000);
        return both[0].events.map(({ text }) => JSON.parse(text));
      },
    };
  }

  const both = (times: number, run: (server: TestServer, turn: number) => Promise<unknown>) =>
    Promise.all(
      [one, other].map(async (server) => {
        for (let turn = 0; turn < times; turn += 1) await run(server, turn);
      }),
    );

  test('configurationChanged', { retry: 2 }, async () => {
    const watched = await watchBoth('configurationChanged { version changedAt changes { action name } }', (server) =>
      server.services.feed.subscribers('CONFIGURATION'),
    );
    await both(20, (server, turn) =>
      succeed(server, 'updateProvider', { input: { id: server === one ? 'red' : 'blue', priority: 50 + turn } }),
    );
    const events = await watched.expectSame(40);
    const versions = events.map(({ configurationChanged }) => Number(configurationChanged.version));
    expect(versions).toEqual(versions.map((_, index) => (versions[0] ?? 0) + index));
  });

  test('requestLogged', { retry: 2 }, async () => {
    const watched = await watchBoth(
      'requestLogged { seq id attempts { id } }',
      (server) => server.services.requestTail.followers,
    );
    await both(100, (server) => serve(server));
    const events = await watched.expectSame(200);
    const seqs = events.map(({ requestLogged }) => Number(requestLogged.seq));
    expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) + index));
  });

  test('providerHealthChanged', { retry: 2 }, async () => {
    const tell = (name: string) => succeed(one, 'testProvider', { input: { id: name } });
    await Promise.all([tell('red'), tell('blue')]);
    const watched = await watchBoth('providerHealthChanged { providerId status previousStatus checkedAt }', (server) =>
      server.services.feed.subscribers('PROVIDER_HEALTH'),
    );
    onTestFinished(() => failing.clear());
    await both(6, (server, turn) => {
      const name = server === one ? 'red' : 'blue';
      if (turn % 2 === 0) failing.add(name);
      else failing.delete(name);
      return succeed(server, 'testProvider', { input: { id: name } });
    });
    await watched.expectSame(12);
  });

  test('budgetChanged', { retry: 2 }, async () => {
    const watched = await watchBoth('budgetChanged { reason budgetId spent remaining at }', (server) =>
      server.services.feed.subscribers('BUDGETS'),
    );
    await both(20, (server, turn) =>
      succeed(server, 'setBudget', {
        input: { scope: 'PROVIDER', subject: server === one ? 'red' : 'blue', limit: `${turn + 1}`, period: 'YEARLY' },
      }),
    );
    await watched.expectSame(40);
  });
});

test('metricsUpdated moves on one server by what another has done', { retry: 2 }, async () => {
  const requests: { count: number; at: number }[] = [];
  const stop = other.ws().subscribe<{ metricsUpdated: { summary: { requests: string } } }>(
    { query: 'subscription { metricsUpdated { summary { requests } } }' },
    {
      next: ({ data }) => {
        if (data) requests.push({ count: Number(data.metricsUpdated.summary.requests), at: performance.now() });
      },
      error: () => undefined,
      complete: () => undefined,
    },
  );
  onTestFinished(stop);
  await eventually(() => expect([requests.length, other.services.liveViews.size]).toEqual([1, 1]));
  const delays: number[] = [];
  for (let turn = 1; turn <= 3; turn += 1) {
    const before = requests.at(-1)?.count ?? 0;
    expect(await serve(one)).toBe('200 red');
    const answered = performance.now();
    await eventually(() => expect(requests.at(-1)?.count).toBe(before + 1), 2_000);
    delays.push(Math.round((requests.at(-1)?.at ?? 0) - answered));
  }
  console.info(`metricsUpdated: moved ${delays.join(', ')} ms after the answer; at most one reading a second`);
});
