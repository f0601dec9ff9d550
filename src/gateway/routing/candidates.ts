import type { OwnKeys } from '../admission/caller.ts';
import type { ModelEntry, ProviderEntry, RouteEntry, RouteTargetEntry, Snapshot } from '../snapshot/snapshot.ts';
import { PROVIDER_KINDS } from '../upstream/kinds.ts';

/** Where one attempt goes. */
export interface Target {
  provider: ProviderEntry;
  /** What is sent upstream; its catalog entry, where there is one, knows price and limits. */
  model: Pick<ModelEntry, 'name' | 'price' | 'contextTokens' | 'maxOutputTokens'>;
}

/** One of those that a route chooses among: a target of the route as it can be used now. */
export interface Candidate {
  weight: number;
  /** The provider with each of the target's models, in the order of preference. Never empty. */
  targets: readonly Target[];
}

type Entry = Pick<RouteTargetEntry, 'providerId' | 'models' | 'weight'>;

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
export function offersOf(name: string, snapshot: Snapshot, ownKeys: OwnKeys): Target[] {
  const offers = snapshot.modelsByName.get(name) ?? [];
  const before = activeBefore(snapshot);
  return offers.filter(({ provider }) => isUsable(provider, ownKeys)).sort((a, b) => before(a.provider, b.provider));
}

function activeBefore({ activeProviderId }: Snapshot) {
  return (a: ProviderEntry, b: ProviderEntry) => Number(b.id === activeProviderId) - Number(a.id === activeProviderId);
}

/** The candidates of each route by its id, for callers without keys of their own, found out when it is first used: a snapshot never changes. */
const known = new WeakMap<Snapshot, Map<string, readonly Candidate[]>>();

/** The targets of a route that can be used now, in the order of their priority. */
export function candidatesOf(route: RouteEntry, snapshot: Snapshot, ownKeys: OwnKeys): readonly Candidate[] {
  const modelsAt = (entry: Entry, provider: ProviderEntry) => modelsOf(entry, provider, snapshot);
  if (ownKeys.size > 0) return find(route, snapshot, ownKeys, modelsAt);
  const ofRoutes = known.get(snapshot) ?? new Map<string, readonly Candidate[]>();
  known.set(snapshot, ofRoutes);
  const found = ofRoutes.get(route.id);
  if (found) return found;
  const candidates = find(route, snapshot, ownKeys, modelsAt);
  ofRoutes.set(route.id, candidates);
  return candidates;
}

/**
 * Those of them that a hint means.
 * @param hint a provider (its slug), a model, or both (`provider/model`)
 */
export function hintedCandidatesOf(route: RouteEntry, hint: string, snapshot: Snapshot, ownKeys: OwnKeys): Candidate[] {
  return find(route, snapshot, ownKeys, (entry, provider) => {
    if (hint === provider.slug) return modelsOf(entry, provider, snapshot);
    const prefix = `${provider.slug}/`;
    const name = hint.startsWith(prefix) ? hint.slice(prefix.length) : hint;
    // A target without a list has all models of its provider.
    return entry.models.length === 0 || entry.models.includes(name) ? enabledModel(name, provider, snapshot) : [];
  });
}

function find(
  route: RouteEntry,
  snapshot: Snapshot,
  ownKeys: OwnKeys,
  modelsAt: (entry: Entry, provider: ProviderEntry) => ModelEntry[],
): Candidate[] {
  const entries = route.targets.length > 0 ? route.targets : activeFirst(snapshot, ownKeys);
  return entries.flatMap((entry) => {
    const provider = snapshot.providersById.get(entry.providerId);
    if (!provider || !isUsable(provider, ownKeys)) return [];
    const models = modelsAt(entry, provider);
    return models.length > 0 ? [{ weight: entry.weight, targets: models.map((model) => ({ provider, model })) }] : [];
  });
}

/**
 * What a route without targets stands for. The sandbox never stands in for a real provider: nobody would want its
 * made-up answers in place of an error.
 */
function activeFirst(snapshot: Snapshot, ownKeys: OwnKeys): Entry[] {
  return usableProviders(snapshot, ownKeys)
    .filter((provider) => provider.kind !== 'SANDBOX' || provider.id === snapshot.activeProviderId)
    .map(({ id }) => ({ providerId: id, models: [], weight: 1 }));
}

/** The models a target lists; if it lists none, its provider's first one. */
function modelsOf({ models }: Entry, provider: ProviderEntry, snapshot: Snapshot): ModelEntry[] {
  if (models.length > 0) return models.flatMap((name) => enabledModel(name, provider, snapshot));
  const first = provider.models.find((entry) => entry.isEnabled);
  return first ? [first] : [];
}

function enabledModel(name: string, provider: ProviderEntry, { modelsByName }: Snapshot): ModelEntry[] {
  const offer = modelsByName.get(name)?.find((one) => one.provider === provider);
  return offer ? [offer.model] : [];
}
