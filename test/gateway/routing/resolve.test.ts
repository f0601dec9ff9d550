import { describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/gateway/admission/caller.ts';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { TargetHealth } from '../../../src/gateway/routing/health.ts';
import { listModels, resolve } from '../../../src/gateway/routing/resolve.ts';
import { Router } from '../../../src/gateway/routing/router.ts';
import { indexModels } from '../../../src/gateway/snapshot/index-models.ts';
import type { ProviderEntry, RouteEntry, RouteTargetEntry, Snapshot } from '../../../src/gateway/snapshot/snapshot.ts';
import type { ProviderKind } from '../../../src/gateway/upstream/kinds.ts';

const anyone: Caller = { kind: 'ANONYMOUS', address: '::1' };

function provider(slug: string, models: string[], over: Partial<ProviderEntry> = {}): ProviderEntry {
  return {
    id: `id-${slug}`,
    slug,
    name: slug,
    kind: 'CUSTOM' as ProviderKind,
    dialect: 'OPENAI',
    baseUrl: `http://${slug}`,
    origin: `http://${slug}`,
    basePath: '',
    isEnabled: true,
    isOpenToOwnKeys: true,
    priority: 100,
    timeoutMs: 1000,
    region: null,
    keys: [],
    models: models.map((name) => ({
      id: `${slug}-${name}`,
      name,
      price: { ...priceVersion({ input: 1, output: 2 }), source: 'CATALOG' },
      contextTokens: null,
      maxOutputTokens: null,
      quality: null,
      isEnabled: true,
    })),
    ...over,
  };
}

function snapshot(providers: ProviderEntry[], routes: Partial<RouteEntry>[] = [], active?: string): Snapshot {
  const all = [{ slug: 'default' }, ...routes].map(
    (route, index): RouteEntry => ({
      ...{ id: `r${index}`, slug: 'x', aliases: [], mode: 'AUTO', strategy: 'FAILOVER', version: 1, targets: [] },
      ...{ scoreWeights: null, allowsPowerLevel: false, stickyBy: null, maxRetries: 3, cacheTtlSeconds: null },
      ...{ totalTimeoutMs: null, firstTokenTimeoutMs: null, stallTimeoutMs: null, fallbacks: [] },
      ...{ preferredRegions: [], restartPolicy: 'NEVER', refusalPolicy: 'PROPAGATE' },
      ...route,
    }),
  );
  const named = new Map<string, RouteEntry>();
  for (const route of all) for (const alias of route.aliases) named.set(alias, route);
  for (const route of all) named.set(route.slug, route);
  return {
    version: 1n,
    activeProviderId: active ? `id-${active}` : null,
    providers,
    providersById: new Map(providers.map((entry) => [entry.id, entry])),
    providersBySlug: new Map(providers.map((entry) => [entry.slug, entry])),
    modelsByName: indexModels(providers),
    routes: named,
  };
}

function target(provider: string, models: string[] = [], weight = 1): RouteTargetEntry {
  return {
    id: `${provider}-${models}`,
    providerId: `id-${provider}`,
    models,
    priority: 100,
    weight,
    strategy: 'FAILOVER',
    slots: [],
  };
}

const newRouter = () => new Router(new TargetHealth(10_000));

/** Where a request goes, and what stands in for it, as `provider:model`. */
function names(model: string | null, from: Snapshot, caller: Caller = anyone, router = newRouter()): string[] {
  const choice = resolve(model, from, caller, 'BALANCED');
  const asking = { ownKeys: new Map(), kind: 'STREAM' as const, stickyKey: null, at: 0 };
  return router.decide(choice, asking).order.map((target) => `${target.provider.slug}:${target.model.name}`);
}

describe('what `model` means', () => {
  const a = provider('a', ['shared', 'only-a']);
  const b = provider('b', ['shared', 'fast/route']);
  const route = {
    slug: 'fast',
    aliases: ['quick', 'only-a'],
    mode: 'SPECIFIC' as const,
    targets: [target('b', ['shared']), target('a')],
  };
  const world = snapshot([a, b], [route, { slug: 'quick', targets: [target('a')] }], 'b');

  test('absent or empty: the default route, the active provider first, then the others', () => {
    expect(names(null, world)).toEqual(['b:shared', 'a:shared']);
    expect(names('', world)).toEqual(['b:shared', 'a:shared']);
    expect(resolve(null, world, anyone, 'BALANCED').route?.slug).toBe('default');
  });

  test('a route slug comes before an alias, and both before a catalog model', () => {
    expect(names('quick', world)).toEqual(['a:shared', 'a:only-a']);
    expect(names('only-a', world)).toEqual(['b:shared', 'a:shared', 'a:only-a']);
  });

  test('a hint behind a route in SPECIFIC mode picks provider, model, or both', () => {
    expect(names('fast/a', world)).toEqual(['a:shared', 'a:only-a']);
    expect(names('fast/only-a', world)).toEqual(['a:only-a']);
    expect(names('fast/b/shared', world)).toEqual(['b:shared']);
    expect(() => names('fast/b/fast/route', world)).toThrow(/has no target/);
  });

  test('a provider slug in front sends there, also for a model that the catalog does not know', () => {
    expect(names('b/shared', world)).toEqual(['b:shared']);
    expect(names('a/vendor/new-model', world)).toEqual(['a:vendor/new-model']);
    expect(resolve('a/vendor/new-model', world, anyone, 'BALANCED').targets[0]?.model.price).toBeNull();
  });

  test('a bare model: the active provider first, then by priority', () => {
    expect(names('shared', world)).toEqual(['b:shared', 'a:shared']);
    expect(names('shared', snapshot([a, b], [], 'a'))).toEqual(['a:shared', 'b:shared']);
  });

  test('an unknown name is refused with the nearest ones', () => {
    expect(() => names('sharde', world)).toThrow(/Did you mean shared/);
  });
});

describe('who can be sent to', () => {
  test('not a provider that is off, nor one that lacks its key', () => {
    const off = provider('off', ['m'], { isEnabled: false });
    const keyless = provider('openai', ['m'], { kind: 'OPENAI' });
    const keyed = provider('groq', ['m'], { kind: 'GROQ', keys: [{ id: 'k', secret: 's', weight: 1 }] });
    expect(names('m', snapshot([off, keyless, keyed]))).toEqual(['groq:m']);
    expect(() => names('off/m', snapshot([off]))).toThrow(/switched off or has no key/);
  });

  test('the sandbox never stands in for a real provider', () => {
    const real = provider('real', ['m']);
    const sandbox = provider('sandbox', ['sandbox-small'], { kind: 'SANDBOX' });
    expect(names(null, snapshot([real, sandbox], [], 'real'))).toEqual(['real:m']);
    expect(names(null, snapshot([real, sandbox], [], 'sandbox'))).toEqual(['sandbox:sandbox-small', 'real:m']);
  });

  test('a key with allowed routes gets those alone, and sees only them', () => {
    const caller: Caller = {
      kind: 'API_KEY',
      account: {
        id: 'u',
        email: 'u@x',
        name: null,
        role: 'USER',
        tier: 'FREE',
        isActive: true,
        powerLevel: 'BALANCED',
      },
      key: {
        id: 'k',
        ownerId: 'u',
        name: 'k',
        isAdmin: false,
        allowedRoutes: ['fast'],
        rateLimitPerMinute: null,
        expiresAt: null,
        revokedAt: null,
      },
    };
    const world = snapshot([provider('a', ['m'])], [{ slug: 'fast', aliases: ['quick'] }], 'a');
    expect(names('quick', world, caller)).toEqual(['a:m']);
    for (const model of [null, 'default', 'm', 'a/m']) expect(() => names(model, world, caller)).toThrow(/may/);
    expect([...listModels(world, caller).keys()].sort()).toEqual(['fast', 'quick']);
  });
});

describe('a route with a strategy', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((slug) => provider(slug, ['m', `only-${slug}`])) as [
    ProviderEntry,
    ProviderEntry,
    ProviderEntry,
  ];
  const firsts = (count: number, model: string, from: Snapshot, router = newRouter()) =>
    Array.from({ length: count }, () => names(model, from, anyone, router)[0]);

  test('ROUND_ROBIN begins with each usable target in turn, and the others stand in', () => {
    const targets = [target('a', ['m']), target('b', ['m']), target('c', ['m'])];
    const world = snapshot([a, { ...b, isEnabled: false }, c], [{ slug: 'r', strategy: 'ROUND_ROBIN', targets }]);
    const router = newRouter();
    expect(names('r', world, anyone, router)).toEqual(['a:m', 'c:m']);
    expect(names('r', world, anyone, router)).toEqual(['c:m', 'a:m']);
    expect(names('r', world, anyone, router)).toEqual(['a:m', 'c:m']);
  });

  test('WEIGHTED gives the share of a target that cannot be used to the others, and nothing to weight 0', () => {
    const targets = [target('a', ['m'], 50), target('b', [], 30), target('c', [], 20), target('a', ['only-a'], 0)];
    const split = { slug: 's', strategy: 'WEIGHTED' as const, targets };
    const picks = firsts(50, 's', snapshot([a, { ...b, isEnabled: false }, c], [split]));
    expect(picks.filter((pick) => pick === 'a:m')).toHaveLength(Math.round(50 * (5 / 7)));
    expect(names('s', snapshot([a, b, c], [split]))).not.toContain('a:only-a');
    const off = { isEnabled: false };
    const onlyZero = snapshot([a], [{ ...split, targets: [target('a', [], 0)] }]);
    expect(() => names('s', onlyZero)).toThrow(/no provider that can be used/);
    expect(() => names('s', snapshot([{ ...a, ...off }], [split]))).toThrow(/no provider that can be used/);
  });

  test('turns go on when the configuration changes, and are counted for each route by itself', () => {
    const targets = [target('a'), target('b')];
    const routes = ['r', 's'].map((slug) => ({ slug, strategy: 'ROUND_ROBIN' as const, targets }));
    const router = newRouter();
    expect(firsts(1, 'r', snapshot([a, b], routes), router)).toEqual(['a:m']);
    expect(firsts(1, 's', snapshot([a, b], routes), router)).toEqual(['a:m']);
    expect(firsts(2, 'r', snapshot([a, b], routes), router)).toEqual(['b:m', 'a:m']);
  });

  test('a hint narrows the targets, and the strategy picks among those', () => {
    const targets = [target('a', ['m']), target('a', ['only-a']), target('b'), target('c', [], 0)];
    const route = { slug: 'r', mode: 'SPECIFIC' as const, targets };
    const robin = snapshot([a, b, c], [{ ...route, strategy: 'ROUND_ROBIN' }]);
    expect(firsts(4, 'r/m', robin)).toEqual(['a:m', 'b:m', 'c:m', 'a:m']);
    expect(firsts(3, 'r/a', robin)).toEqual(['a:m', 'a:only-a', 'a:m']);
    expect(names('r/only-a', robin)).toEqual(['a:only-a']);
    const router = newRouter();
    for (const first of ['a:m', 'b:m', 'c:m']) {
      expect(names('r/m', robin, anyone, router)[0]).toBe(first);
      names('r', robin, anyone, router);
    }
    expect(() => names('r/c', snapshot([a, b, c], [{ ...route, strategy: 'WEIGHTED' }]))).toThrow(/has no target "c"/);
  });

  test('callers of different power levels each get their turns among those that they are compared with', () => {
    const priced = (slug: string, dollars: number) => {
      const made = provider(slug, ['m']);
      const price = {
        ...priceVersion({ input: dollars * 1_000_000, output: dollars * 1_000_000 }),
        source: 'CATALOG' as const,
      };
      return { ...made, models: made.models.map((model) => ({ ...model, price })) };
    };
    const providers = [priced('e1', 0.1), priced('e2', 0.2), priced('p1', 10), priced('p2', 20)];
    const targets = providers.map(({ slug }) => target(slug));
    const world = snapshot(providers, [{ slug: 'r', strategy: 'ROUND_ROBIN', allowsPowerLevel: true, targets }]);
    const router = newRouter();
    const first = (level: 'ECO' | 'PRECISION') => {
      const asking = { ownKeys: new Map(), kind: 'STREAM' as const, stickyKey: null, at: 0 };
      return router.decide(resolve('r', world, anyone, level), asking).order[0]?.provider.slug;
    };
    const picks = Array.from({ length: 4 }, () => [first('ECO'), first('PRECISION')]).flat();
    expect(picks).toEqual(['e1', 'p1', 'e2', 'p2', 'e1', 'p1', 'e2', 'p2']);
  });

  test('LATENCY finds out for streams and for whole answers how fast a target is, however they alternate', () => {
    const world = snapshot(
      [a, b],
      [{ slug: 'r', strategy: 'LATENCY', targets: [target('a', ['m']), target('b', ['m'])] }],
    );
    const health = new TargetHealth(10_000);
    const router = new Router(health);
    const choice = resolve('r', world, anyone, 'BALANCED');
    const [known] = choice.targets;
    for (const kind of ['STREAM', 'WHOLE'] as const)
      for (let call = 0; call < 9; call++) health.measure(known ?? expect.fail('no target'), kind, 100, 0);
    const firsts = Array.from({ length: 100 }, (_, turn) => {
      const kind = turn % 2 === 0 ? ('STREAM' as const) : ('WHOLE' as const);
      return `${kind} ${router.decide(choice, { ownKeys: new Map(), kind, stickyKey: null, at: 5_000 }).order[0]?.provider.slug}`;
    });
    expect(firsts.filter((first) => first === 'STREAM b')).toHaveLength(5);
    expect(firsts.filter((first) => first === 'WHOLE b')).toHaveLength(5);
  });

  test('without targets it is the active provider, whatever the strategy', () => {
    const world = snapshot([a, b], [{ slug: 'r', strategy: 'ROUND_ROBIN' }], 'b');
    expect(firsts(3, 'r', world)).toEqual(['b:m', 'b:m', 'b:m']);
  });

  test('a target without models stands for all of its provider: the best first, the others once all targets were tried', () => {
    const targets = [target('a'), target('b', ['only-b', 'm'])];
    expect(names('r', snapshot([a, b], [{ slug: 'r', targets }]))).toEqual(['a:m', 'b:only-b', 'b:m', 'a:only-a']);
    expect(names('r', snapshot([a, b], [{ slug: 'r', targets, maxRetries: 1 }]))).toEqual(['a:m', 'b:only-b', 'b:m']);
  });

  test('a model that two targets share is tried once', () => {
    const targets = [target('a'), target('a', ['only-a', 'm'])];
    expect(names('r', snapshot([a], [{ slug: 'r', targets }]))).toEqual(['a:m', 'a:only-a']);
  });
});
