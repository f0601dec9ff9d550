import type { OwnKeys } from '../admission/caller.ts';
import { expectedPrice } from '../prices/cost.ts';
import type {
  ModelEntry,
  OfferedModel,
  ProviderEntry,
  RouteEntry,
  RouteTargetEntry,
  Snapshot,
} from '../snapshot/snapshot.ts';
import type { Exclusion, ModelFacts, Section, TargetFacts } from './facts.ts';
import { blendedPrice, type PowerLevel, powerLevelOf } from './power-level.ts';
import { isUsable, usableProviders } from './usable.ts';

/** Where one attempt goes. */
export interface Target {
  /** The route's target; null: it stands for a provider that the route does not name, or there is no route. */
  id: string | null;
  provider: ProviderEntry;
  /** What is sent upstream; its catalog entry, where there is one, knows price and limits. */
  model: TargetModel;
}

/** Equal for what is the same upstream: a target of another route with the same provider and model. */
export function nameOf({ provider, model }: Target): string {
  return `${provider.id} ${model.name}`;
}

export type TargetModel = Pick<ModelEntry, 'name' | 'price' | 'contextTokens' | 'maxOutputTokens' | 'quality'>;

/** What narrows the candidates, besides the configuration. */
export interface Narrowing {
  snapshot: Snapshot;
  ownKeys: OwnKeys;
  /** Of a route in SPECIFIC mode: a provider (its slug), a model, or both (`provider/model`). Null: none. */
  hint: string | null;
  /** Null: every level. */
  powerLevel: PowerLevel | null;
}

/** A section of a decision, with where each of its places sends; null: nowhere, the place is excluded. */
export interface Candidates {
  section: Section;
  targets: readonly (Target | null)[];
}

/** A target without a list stands for all models of its provider: the first ones of so many. */
const MOST_MODELS = 100;
/** Where a route without targets goes with a request that is too long for a provider's first model. */
const MOST_LARGER_MODELS = 9;

/** The targets of a route with their models, also those that cannot be used now, with the reason why. */
export function candidatesOf(route: RouteEntry, fallback: string | null, narrowing: Narrowing): Candidates {
  const { snapshot, ownKeys, hint } = narrowing;
  const hasTargets = route.targets.length > 0;
  // The strategy is about targets: without any, the active provider comes first.
  const strategy = hasTargets ? route.strategy : 'FAILOVER';
  const targets: (Target | null)[] = [];
  const facts = (hasTargets ? route.targets : standIns(snapshot, ownKeys)).flatMap((entry): TargetFacts[] => {
    const id = hasTargets ? entry.id : null;
    const provider = snapshot.providersById.get(entry.providerId);
    const isOut = strategy === 'WEIGHTED' && entry.weight === 0;
    const models = provider
      ? modelsOf(entry, provider, { isOut, isStandIn: !hasTargets, ...narrowing })
      : hint === null
        ? entry.models.map(unusable)
        : [];
    if (models.length === 0) return [];
    for (const { model, facts } of models)
      targets.push(provider && facts.excluded === null ? { id, provider, model } : null);
    return [
      {
        id,
        provider: provider?.slug ?? entry.providerId,
        priority: entry.priority,
        weight: entry.weight,
        strategy: entry.strategy,
        region: regionOf(provider, route),
        tries: !hasTargets ? 'BEST' : entry.models.length > 0 ? 'EACH' : 'BEST_FIRST',
        slots: route.stickyBy === null ? [] : entry.slots,
        models: models.map(({ facts }) => facts),
      },
    ];
  });
  return { section: { fallback, mode: route.mode, strategy, weights: route.scoreWeights, targets: facts }, targets };
}

/** What a name that is no route stands for: each of these, one after the other. */
export function candidatesAmong(offers: readonly TargetOffer[], fallback: string | null): Candidates {
  const facts = offers.map(
    ({ provider, model }): TargetFacts => ({
      id: null,
      provider: provider.slug,
      priority: provider.priority,
      weight: 1,
      strategy: 'FAILOVER',
      region: 0,
      tries: 'EACH',
      slots: [],
      models: [factsOf(provider, model, null)],
    }),
  );
  const section: Section = { fallback, mode: 'AUTO', strategy: 'FAILOVER', weights: null, targets: facts };
  return { section, targets: offers.map(({ provider, model }) => ({ id: null, provider, model })) };
}

type TargetOffer = Pick<OfferedModel, 'provider'> & { model: TargetModel };

/** A model that the catalog does not know. */
export function uncatalogued(name: string): TargetModel {
  return { name, price: null, contextTokens: null, maxOutputTokens: null, quality: null };
}

/**
 * What a route without targets stands for. The sandbox never stands in for a real provider: nobody would want its
 * made-up answers in place of an error.
 */
function standIns(snapshot: Snapshot, ownKeys: OwnKeys): RouteTargetEntry[] {
  const same = { models: [], weight: 1, strategy: 'FAILOVER', slots: [] } as const;
  return usableProviders(snapshot, ownKeys)
    .filter((provider) => provider.kind !== 'SANDBOX' || provider.id === snapshot.activeProviderId)
    .map(({ id, priority }) => ({ id, providerId: id, priority, ...same }));
}

interface Considered {
  model: TargetModel;
  facts: ModelFacts;
}

function modelsOf(
  entry: RouteTargetEntry,
  provider: ProviderEntry,
  narrowing: Narrowing & { isOut: boolean; isStandIn: boolean },
): Considered[] {
  const { ownKeys, powerLevel, isOut } = narrowing;
  const isProviderUsable = isUsable(provider, ownKeys);
  const excluded = (model: TargetModel & { isEnabled?: boolean }, price: number | null): Exclusion | null => {
    if (!isProviderUsable) return 'PROVIDER_UNUSABLE';
    if (!model.isEnabled) return 'MODEL_UNUSABLE';
    if (isOut) return 'NO_WEIGHT';
    return powerLevel !== null && powerLevelOf(price) !== powerLevel ? 'OTHER_POWER_LEVEL' : null;
  };
  return named(entry, provider, narrowing).map((model) => {
    const facts = factsOf(provider, model, null);
    return { model, facts: { ...facts, excluded: excluded(model, facts.price) } };
  });
}

/** Those that a target lists; if it lists none, its provider's. With a hint only those that it means. */
function named(
  { models }: RouteTargetEntry,
  provider: ProviderEntry,
  { hint, isStandIn }: Narrowing & { isStandIn: boolean },
): TargetModel[] {
  const means = (name: string) => hint === null || isMeant(hint, name, provider);
  if (models.length > 0)
    return models
      .filter(means)
      .map((name) => provider.models.find((model) => model.name === name) ?? uncatalogued(name));
  const enabled = provider.models.filter(({ isEnabled, name }) => isEnabled && means(name));
  return isStandIn && hint === null ? withLarger(enabled) : enabled.slice(0, MOST_MODELS);
}

/** The first one, and those that a request fits into which is too long for it. */
function withLarger([first, ...others]: readonly TargetModel[]): TargetModel[] {
  if (!first) return [];
  const larger = others.filter(({ contextTokens }) => (contextTokens ?? 0) > (first.contextTokens ?? Infinity));
  return [first, ...larger.slice(0, MOST_LARGER_MODELS)];
}

function isMeant(hint: string, model: string, { slug }: ProviderEntry): boolean {
  return hint === slug || hint === model || hint === `${slug}/${model}`;
}

function unusable(name: string): Considered {
  const model = uncatalogued(name);
  return { model, facts: { name, price: null, quality: null, contextTokens: null, excluded: 'PROVIDER_UNUSABLE' } };
}

function factsOf(provider: ProviderEntry, model: TargetModel, excluded: Exclusion | null): ModelFacts {
  const price = expectedPrice({ provider, model }, Date.now());
  return {
    name: model.name,
    price: price && blendedPrice(price.components),
    quality: model.quality,
    contextTokens: model.contextTokens,
    excluded,
  };
}

function regionOf(provider: ProviderEntry | undefined, { preferredRegions }: RouteEntry): number {
  const region = provider?.region ?? null;
  const place = region === null ? -1 : preferredRegions.indexOf(region);
  return place === -1 ? preferredRegions.length : place;
}
