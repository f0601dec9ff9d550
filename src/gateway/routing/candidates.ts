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

/** Whether a provider can be sent to at all: switched on, addressed, and with a key if its kind needs one. */
export function isUsable(provider: ProviderEntry): boolean {
  if (!provider.isEnabled || provider.baseUrl === '') return false;
  return provider.keys.length > 0 || PROVIDER_KINDS[provider.kind].worksWithoutKey;
}

/** The usable providers, the active one first, the others by priority. */
export function usableProviders(snapshot: Snapshot): ProviderEntry[] {
  const usable = snapshot.providers.filter(isUsable);
  const active = usable.filter((provider) => provider.id === snapshot.activeProviderId);
  return [...active, ...usable.filter((provider) => provider.id !== snapshot.activeProviderId)];
}

/**
 * The targets of a route that can be used now, in the order of their priority.
 * @param hint narrows them to a provider (its slug), to a model, or to both (`provider/model`)
 */
export function candidatesOf(route: RouteEntry, hint: string | null, snapshot: Snapshot): Candidate[] {
  const entries = route.targets.length > 0 ? route.targets : activeFirst(snapshot);
  return entries.flatMap((entry) => {
    const provider = snapshot.providersById.get(entry.providerId);
    if (!provider || !isUsable(provider)) return [];
    const models = hint === null ? modelsOf(entry, provider) : modelsFor(hint, entry, provider);
    return models.length > 0 ? [{ weight: entry.weight, targets: models.map((model) => ({ provider, model })) }] : [];
  });
}

/**
 * What a route without targets stands for. The sandbox never stands in for a real provider: nobody would want its
 * made-up answers in place of an error.
 */
function activeFirst(snapshot: Snapshot): Pick<RouteTargetEntry, 'providerId' | 'models' | 'weight'>[] {
  return usableProviders(snapshot)
    .filter((provider) => provider.kind !== 'SANDBOX' || provider.id === snapshot.activeProviderId)
    .map(({ id }) => ({ providerId: id, models: [], weight: 1 }));
}

/** The models a target lists; if it lists none, its provider's first one. */
function modelsOf({ models }: Pick<RouteTargetEntry, 'models'>, provider: ProviderEntry): ModelEntry[] {
  if (models.length > 0) return models.flatMap((name) => enabledModel(provider, name));
  const first = provider.models.find((entry) => entry.isEnabled);
  return first ? [first] : [];
}

/** A target without a list has all models of its provider. */
function modelsFor(hint: string, entry: Pick<RouteTargetEntry, 'models'>, provider: ProviderEntry): ModelEntry[] {
  if (hint === provider.slug) return modelsOf(entry, provider);
  const prefix = `${provider.slug}/`;
  const name = hint.startsWith(prefix) ? hint.slice(prefix.length) : hint;
  return entry.models.length === 0 || entry.models.includes(name) ? enabledModel(provider, name) : [];
}

function enabledModel(provider: ProviderEntry, name: string): ModelEntry[] {
  const model = provider.models.find((entry) => entry.name === name);
  return model?.isEnabled ? [model] : [];
}
