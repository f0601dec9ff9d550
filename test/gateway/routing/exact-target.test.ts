import { expect, test } from 'vitest';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { resolveExactly } from '../../../src/gateway/routing/exact-target.ts';
import type { ProviderEntry, Snapshot } from '../../../src/gateway/snapshot/snapshot.ts';
import { ModelNotFoundError, ProviderNotFoundError } from '../../../src/platform/errors.ts';

const price = { ...priceVersion({ input: 1, output: 2 }), source: 'CATALOG' } as const;
const limits = { contextTokens: null, maxOutputTokens: null, quality: null };
const provider: ProviderEntry = {
  ...{
    id: 'p',
    slug: 'mine',
    name: 'Mine',
    kind: 'CUSTOM',
    dialect: 'OPENAI',
    isEnabled: false,
    isOpenToOwnKeys: true,
    priority: 1,
    timeoutMs: 5_000,
    region: null,
    keys: [],
  },
  ...{ baseUrl: 'http://a.test/v1', origin: 'http://a.test', basePath: '/v1' },
  models: [{ id: 'm', name: 'off', price, ...limits, isEnabled: false }],
};

function resolve(entry: ProviderEntry, { model = 'off', timeoutMs = 1_000, providerId = 'p' } = {}) {
  const snapshot: Snapshot = {
    ...{ version: 1n, activeProviderId: null, providers: [entry], routes: new Map(), modelsByName: new Map() },
    providersById: new Map([[entry.id, entry]]),
    providersBySlug: new Map([[entry.slug, entry]]),
  };
  return resolveExactly({ providerId, model, timeoutMs }, snapshot);
}

test('finds one target, though provider and model are switched off, with its price', () => {
  expect(resolve(provider)).toMatchObject({ id: null, provider: { id: 'p' }, model: { id: 'm', name: 'off', price } });
});

test('takes a model that is not in the catalog, without a price', () => {
  expect(resolve(provider, { model: 'a/b' }).model).toEqual({ name: 'a/b', price: null, ...limits });
});

test('the shorter limit of time holds', () => {
  expect(resolve(provider, { timeoutMs: 1_000 }).provider.timeoutMs).toBe(1_000);
  expect(resolve(provider, { timeoutMs: 9_000 }).provider.timeoutMs).toBe(5_000);
});

test('refuses a provider that is not there, or lacks its key or address', () => {
  expect(() => resolve(provider, { providerId: 'mine' })).toThrow(ProviderNotFoundError);
  expect(() => resolve({ ...provider, kind: 'OPENAI' })).toThrow(ModelNotFoundError);
  expect(() => resolve({ ...provider, baseUrl: '' })).toThrow(ModelNotFoundError);
});
