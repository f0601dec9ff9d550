import { type PriceComponents, priceVersion, UNKNOWN_USAGE, type Usage } from '../../../src/gateway/ledger/prices.ts';
import type { Target } from '../../../src/gateway/routing/candidates.ts';
import type { StatedPrice } from '../../../src/gateway/snapshot/snapshot.ts';
import { PROVIDER_KINDS, type ProviderKind } from '../../../src/gateway/upstream/kinds.ts';

/** What the provider says that a call used; what is left out it does not say. */
export function used(inputTokens: number, outputTokens: number, more: Partial<Usage> = {}): Usage {
  return { ...UNKNOWN_USAGE, inputTokens, outputTokens, ...more };
}

export function stated(source: StatedPrice['source'], components: PriceComponents): StatedPrice {
  return { ...priceVersion(components), source };
}

/** A provider of a kind, at its usual address or another one. */
export function providerOf(kind: ProviderKind, baseUrl: string | null = PROVIDER_KINDS[kind].defaultBaseUrl) {
  return { kind, baseUrl: baseUrl ?? 'http://127.0.0.1:9' };
}

/**
 * A model of a provider.
 * @param catalog the provider's other models
 */
export function targetOf(
  provider: ReturnType<typeof providerOf>,
  name: string,
  price: StatedPrice | null = null,
  catalog: Record<string, StatedPrice> = {},
): Target {
  const limits = { contextTokens: null, maxOutputTokens: null, quality: null, isEnabled: true };
  const model = { id: name, name, price, ...limits };
  const others = Object.entries(catalog).map(([other, of]) => ({ id: other, name: other, price: of, ...limits }));
  return {
    id: null,
    model,
    provider: {
      ...provider,
      ...{
        id: 'p',
        slug: 'p',
        name: 'P',
        dialect: 'OPENAI',
        origin: '',
        basePath: '',
        isEnabled: true,
        isOpenToOwnKeys: true,
      },
      ...{ priority: 1, timeoutMs: 1_000, region: null, keys: [] },
      models: [model, ...others],
    },
  };
}
