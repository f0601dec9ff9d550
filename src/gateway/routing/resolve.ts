import { ForbiddenError, ModelNotFoundError, shorten } from '../../platform/errors.ts';
import type { Caller } from '../admission/caller.ts';
import type { ModelEntry, ProviderEntry, RouteEntry, Snapshot } from '../snapshot/snapshot.ts';
import { PROVIDER_KINDS } from '../upstream/kinds.ts';
import { nearestNames } from './nearest.ts';

/** Where one attempt goes. */
export interface Target {
  provider: ProviderEntry;
  /** What is sent upstream; its catalog entry, where there is one, knows price and limits. */
  model: Pick<ModelEntry, 'name' | 'price' | 'contextTokens' | 'maxOutputTokens'>;
}

/** What `model` means: the targets in the order in which they are tried. Never empty. */
export interface Resolution {
  route: RouteEntry | null;
  targets: readonly Target[];
}

export const DEFAULT_ROUTE = 'default';

/**
 * Finds the targets of a request. The order: route slug, route alias, `route/hint` for a route in SPECIFIC mode,
 * provider slug as a prefix, bare catalog model (the active provider first, then by priority). Absent: the default route.
 * @throws ModelNotFoundError, ForbiddenError (an API key that may not use the route)
 */
export function resolve(name: string | null, snapshot: Snapshot, caller: Caller): Resolution {
  const wanted = name || DEFAULT_ROUTE;
  const route = snapshot.routes.get(wanted);
  if (route) return throughRoute(route, null, snapshot, caller);

  const slash = wanted.indexOf('/');
  const head = slash > 0 ? wanted.slice(0, slash) : null;
  const rest = wanted.slice(slash + 1);
  const hinted = head ? snapshot.routes.get(head) : undefined;
  if (hinted?.mode === 'SPECIFIC') return throughRoute(hinted, rest, snapshot, caller);

  assertAnyModelAllowed(caller, wanted);
  const provider = head ? snapshot.providersBySlug.get(head) : undefined;
  if (provider) return { route: null, targets: [prefixed(provider, rest)] };

  const targets = inOrder(snapshot).flatMap((candidate) => {
    const model = candidate.models.find((entry) => entry.name === wanted && entry.isEnabled);
    return model ? [{ provider: candidate, model }] : [];
  });
  if (targets.length > 0) return { route: null, targets };
  throw new ModelNotFoundError(
    `There is no route or model "${shorten(wanted)}" that can be used now.`,
    nearestNames(wanted, listModels(snapshot, caller).keys()),
  );
}

/** All names that the caller may put in `model`, with who answers: routes, aliases, models, provider/model. */
export function listModels(snapshot: Snapshot, caller: Caller): Map<string, string> {
  const names = new Map<string, string>();
  for (const [name, route] of snapshot.routes) if (mayUse(caller, route)) names.set(name, 'signalbox');
  if (allowedRoutes(caller).length > 0) return names;
  for (const provider of inOrder(snapshot)) {
    for (const model of provider.models) {
      if (!model.isEnabled) continue;
      if (!names.has(model.name)) names.set(model.name, provider.slug);
      names.set(`${provider.slug}/${model.name}`, provider.slug);
    }
  }
  return names;
}

/** Whether a provider can be sent to at all: switched on, addressed, and with a key if its kind needs one. */
export function isUsable(provider: ProviderEntry): boolean {
  if (!provider.isEnabled || provider.baseUrl === '') return false;
  return provider.keys.length > 0 || PROVIDER_KINDS[provider.kind].worksWithoutKey;
}

function throughRoute(route: RouteEntry, hint: string | null, snapshot: Snapshot, caller: Caller): Resolution {
  if (!mayUse(caller, route)) throw new ForbiddenError(`This API key may not use the route "${route.slug}".`);
  const all = route.targets.length > 0 ? fromTargets(route, snapshot) : fromActive(snapshot);
  const targets = hint === null ? all : matching(all, hint, route, snapshot);
  if (targets.length > 0) return { route, targets };
  throw new ModelNotFoundError(
    hint === null
      ? `The route "${route.slug}" has no provider that can be used now: enable one, or give it a key.`
      : `The route "${route.slug}" has no target "${shorten(hint)}".`,
  );
}

function fromTargets(route: RouteEntry, snapshot: Snapshot): Target[] {
  return route.targets.flatMap((target) => {
    const provider = snapshot.providersById.get(target.providerId);
    if (!provider || !isUsable(provider)) return [];
    if (target.models.length === 0) return defaultModel(provider);
    return target.models.flatMap((name) => {
      const model = provider.models.find((entry) => entry.name === name);
      return model?.isEnabled ? [{ provider, model }] : [];
    });
  });
}

/**
 * The active provider, then the others by priority. The sandbox never stands in for a real provider: nobody would want
 * its made-up answers in place of an error.
 */
function fromActive(snapshot: Snapshot): Target[] {
  const active = snapshot.activeProviderId ? snapshot.providersById.get(snapshot.activeProviderId) : undefined;
  return inOrder(snapshot)
    .filter((provider) => provider.kind !== 'SANDBOX' || provider === active)
    .flatMap(defaultModel);
}

/** A hint names a provider, a model, or both. */
function matching(targets: Target[], hint: string, route: RouteEntry, snapshot: Snapshot): Target[] {
  const [first = '', ...others] = hint.split('/');
  const named = snapshot.providersBySlug.get(first);
  if (named && others.length === 0) return targets.filter((target) => target.provider === named);
  const providers = new Set(targets.map((target) => target.provider));
  const wanted = named ? others.join('/') : hint;
  return [...providers].flatMap((provider) => {
    if (named && provider !== named) return [];
    const model = provider.models.find((entry) => entry.name === wanted && entry.isEnabled);
    const isListed = route.targets.every((target) => {
      return target.providerId !== provider.id || target.models.length === 0 || target.models.includes(wanted);
    });
    return model && isListed ? [{ provider, model }] : [];
  });
}

/** A model behind a provider's slug need not be in the catalog: the provider knows its own models. */
function prefixed(provider: ProviderEntry, name: string): Target {
  if (!isUsable(provider)) {
    throw new ModelNotFoundError(`The provider "${provider.slug}" is switched off or has no key yet.`);
  }
  const model = provider.models.find((entry) => entry.name === name);
  if (model && !model.isEnabled) throw new ModelNotFoundError(`The model "${shorten(name)}" is switched off.`);
  if (name === '') throw new ModelNotFoundError(`Name a model behind "${provider.slug}/".`);
  return { provider, model: model ?? { name, price: null, contextTokens: null, maxOutputTokens: null } };
}

function defaultModel(provider: ProviderEntry): Target[] {
  const model = provider.models.find((entry) => entry.isEnabled);
  return model ? [{ provider, model }] : [];
}

function inOrder(snapshot: Snapshot): ProviderEntry[] {
  const usable = snapshot.providers.filter(isUsable);
  const active = usable.filter((provider) => provider.id === snapshot.activeProviderId);
  return [...active, ...usable.filter((provider) => provider.id !== snapshot.activeProviderId)];
}

function allowedRoutes(caller: Caller): readonly string[] {
  return caller.kind === 'API_KEY' ? caller.key.allowedRoutes : [];
}

function mayUse(caller: Caller, route: RouteEntry): boolean {
  const allowed = allowedRoutes(caller);
  return allowed.length === 0 || allowed.includes(route.slug);
}

function assertAnyModelAllowed(caller: Caller, wanted: string): void {
  const allowed = allowedRoutes(caller);
  if (allowed.length === 0) return;
  throw new ForbiddenError(`This API key may only use ${allowed.join(', ')}; it may not use "${shorten(wanted)}".`);
}
