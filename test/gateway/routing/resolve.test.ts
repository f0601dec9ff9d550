import { describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/gateway/admission/caller.ts';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { listModels, resolve } from '../../../src/gateway/routing/resolve.ts';
import type { ProviderEntry, RouteEntry, Snapshot } from '../../../src/gateway/snapshot/snapshot.ts';
import type { ProviderKind } from '../../../src/gateway/upstream/kinds.ts';

const anyone: Caller = { kind: 'ANONYMOUS', address: '::1' };

function provider(slug: string, models: string[], over: Partial<ProviderEntry> = {}): ProviderEntry {
  return {
    id: `id-${slug}`,
    slug,
    name: slug,
    kind: 'CUSTOM' as ProviderKind,
    baseUrl: `http://${slug}`,
    origin: `http://${slug}`,
    basePath: '',
    isEnabled: true,
    priority: 100,
    timeoutMs: 1000,
    keys: [],
    models: models.map((name) => ({
      id: `${slug}-${name}`,
      name,
      price: priceVersion({ input: 1, output: 2 }),
      contextTokens: null,
      maxOutputTokens: null,
      isEnabled: true,
    })),
    ...over,
  };
}

function snapshot(providers: ProviderEntry[], routes: Partial<RouteEntry>[] = [], active?: string): Snapshot {
  const all = [{ slug: 'default' }, ...routes].map(
    (route, index): RouteEntry => ({ id: `r${index}`, slug: 'x', aliases: [], mode: 'AUTO', targets: [], ...route }),
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
    routes: named,
  };
}

const names = (model: string | null, from: Snapshot, caller: Caller = anyone) =>
  resolve(model, from, caller).targets.map((target) => `${target.provider.slug}:${target.model.name}`);

describe('what `model` means', () => {
  const a = provider('a', ['shared', 'only-a']);
  const b = provider('b', ['shared', 'fast/route']);
  const route = {
    slug: 'fast',
    aliases: ['quick', 'only-a'],
    mode: 'SPECIFIC' as const,
    targets: [
      { providerId: 'id-b', models: ['shared'], priority: 1 },
      { providerId: 'id-a', models: [], priority: 2 },
    ],
  };
  const world = snapshot(
    [a, b],
    [route, { slug: 'quick', targets: [{ providerId: 'id-a', models: [], priority: 1 }] }],
    'b',
  );

  test('absent or empty: the default route, the active provider first, then the others', () => {
    expect(names(null, world)).toEqual(['b:shared', 'a:shared']);
    expect(names('', world)).toEqual(['b:shared', 'a:shared']);
    expect(resolve(null, world, anyone).route?.slug).toBe('default');
  });

  test('a route slug comes before an alias, and both before a catalog model', () => {
    expect(names('quick', world)).toEqual(['a:shared']);
    expect(names('only-a', world)).toEqual(['b:shared', 'a:shared']);
  });

  test('a hint behind a route in SPECIFIC mode picks provider, model, or both', () => {
    expect(names('fast/a', world)).toEqual(['a:shared']);
    expect(names('fast/only-a', world)).toEqual(['a:only-a']);
    expect(names('fast/b/shared', world)).toEqual(['b:shared']);
    expect(() => names('fast/b/fast/route', world)).toThrow(/has no target/);
  });

  test('a provider slug in front sends there, also for a model that the catalog does not know', () => {
    expect(names('b/shared', world)).toEqual(['b:shared']);
    expect(names('a/vendor/new-model', world)).toEqual(['a:vendor/new-model']);
    expect(resolve('a/vendor/new-model', world, anyone).targets[0]?.model.price).toBeNull();
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
    const keyed = provider('groq', ['m'], { kind: 'GROQ', keys: [{ id: 'k', secret: 's' }] });
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
      account: { id: 'u', email: 'u@x', name: null, role: 'USER', tier: 'FREE', isActive: true },
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
