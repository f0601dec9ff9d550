import type { OwnKeys } from '../admission/caller.ts';
import type { OfferedModel, ProviderEntry, Snapshot } from '../snapshot/snapshot.ts';
import { PROVIDER_KINDS } from '../upstream/kinds.ts';

/**
 * Whether a caller can be sent to a provider at all: it is addressed, and switched on with a key if its kind needs one;
 * or the caller has a key of their own, and no admin switched it off.
 */
export function isUsable(provider: ProviderEntry, ownKeys: OwnKeys): boolean {
  if (provider.baseUrl === '') return false;
  const own = ownKeys.get(provider.id);
  if (own !== undefined) return own !== null && (provider.isEnabled || provider.isOpenToOwnKeys);
  return provider.isEnabled && (provider.keys.length > 0 || PROVIDER_KINDS[provider.kind].worksWithoutKey);
}

/** The usable providers, the active one first, the others by priority. */
export function usableProviders(snapshot: Snapshot, ownKeys: OwnKeys): ProviderEntry[] {
  return snapshot.providers.filter((provider) => isUsable(provider, ownKeys)).sort(activeBefore(snapshot));
}

/** The usable offers of the model of this name, the active provider's first, the others by priority. */
export function offersOf(name: string, snapshot: Snapshot, ownKeys: OwnKeys): OfferedModel[] {
  const offers = snapshot.modelsByName.get(name) ?? [];
  const before = activeBefore(snapshot);
  return offers.filter(({ provider }) => isUsable(provider, ownKeys)).sort((a, b) => before(a.provider, b.provider));
}

function activeBefore({ activeProviderId }: Snapshot) {
  return (a: ProviderEntry, b: ProviderEntry) => Number(b.id === activeProviderId) - Number(a.id === activeProviderId);
}
