import { ForbiddenError, ModelNotFoundError, shorten } from '../../platform/errors.ts';
import { type Caller, ownKeysOf } from '../admission/caller.ts';
import type { ProviderEntry, RouteEntry, Snapshot } from '../snapshot/snapshot.ts';
import {
  type Candidate,
  candidatesOf,
  hintedCandidatesOf,
  isUsable,
  offersOf,
  type Target,
  usableProviders,
} from './candidates.ts';
import { nearestNames } from './nearest.ts';
import { inOrder } from './order.ts';
import { MOST_ATTEMPTS } from './plan.ts';
import type { Turns } from './turns.ts';

export { isUsable, type Target } from './candidates.ts';
export { Turns } from './turns.ts';

/** What `model` means: up to `MOST_ATTEMPTS` targets in the order in which they are tried. Never empty. */
export interface Resolution {
  route: RouteEntry | null;
  targets: readonly Target[];
}

export const DEFAULT_ROUTE = 'default';

/**
 * Finds the targets of a request. The order: route slug, route alias, `route/hint` for a route in SPECIFIC mode,
 * provider slug as a prefix, bare catalog model (the active provider first, then by priority). Absent: the default route.
 * @param turns counts this request, if the route's strategy goes by that
 * @throws ModelNotFoundError, ForbiddenError (an API key that may not use the route)
 */
export function resolve(name: string | null, snapshot: Snapshot, caller: Caller, turns: Turns): Resolution {
  const wanted = name || DEFAULT_ROUTE;
  const route = snapshot.routes.get(wanted);
  if (route) return throughRoute(route, null, snapshot, caller, turns);

  const slash = wanted.indexOf('/');
  const head = slash > 0 ? wanted.slice(0, slash) : null;
  const rest = wanted.slice(slash + 1);
  const hinted = head ? snapshot.routes.get(head) : undefined;
  if (hinted?.mode === 'SPECIFIC') return throughRoute(hinted, rest, snapshot, caller, turns);

  assertAnyModelAllowed(caller, wanted);
  const provider = head ? snapshot.providersBySlug.get(head) : undefined;
  if (provider) return { route: null, targets: [prefixed(provider, rest, snapshot, caller)] };

  const targets = offersOf(wanted, snapshot, ownKeysOf(caller)).slice(0, MOST_ATTEMPTS);
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
  for (const provider of usableProviders(snapshot, ownKeysOf(caller))) {
    for (const model of provider.models) {
      if (!model.isEnabled) continue;
      if (!names.has(model.name)) names.set(model.name, provider.slug);
      names.set(`${provider.slug}/${model.name}`, provider.slug);
    }
  }
  return names;
}

function throughRoute(
  route: RouteEntry,
  hint: string | null,
  snapshot: Snapshot,
  caller: Caller,
  turns: Turns,
): Resolution {
  if (!mayUse(caller, route)) throw new ForbiddenError(`This API key may not use the route "${route.slug}".`);
  const ownKeys = ownKeysOf(caller);
  const candidates =
    hint === null ? candidatesOf(route, snapshot, ownKeys) : hintedCandidatesOf(route, hint, snapshot, ownKeys);
  const targets = planOf(inOrderOf(route, hint, candidates, turns));
  if (targets.length > 0) return { route, targets };
  throw new ModelNotFoundError(
    hint === null
      ? `The route "${route.slug}" has no provider that can be used now: enable one, or give it a key.`
      : `The route "${route.slug}" has no target "${shorten(hint)}".`,
  );
}

/** The strategy is about targets: without any, the active provider comes first. What hints narrow is counted apart. */
function inOrderOf(
  route: RouteEntry,
  hint: string | null,
  candidates: readonly Candidate[],
  turns: Turns,
): readonly Candidate[] {
  if (route.strategy === 'FAILOVER' || route.targets.length === 0 || candidates.length === 0) return candidates;
  const turn = turns.next(hint === null ? route.id : `${route.id}/${hint}`);
  return inOrder(route.strategy, candidates, turn);
}

/** As many targets as are tried, each once: candidates may have models in common. */
function planOf(candidates: readonly Candidate[]): Target[] {
  const plan: Target[] = [];
  for (const { targets } of candidates) {
    for (const target of targets) {
      if (plan.some(({ model }) => model === target.model)) continue;
      plan.push(target);
      if (plan.length === MOST_ATTEMPTS) return plan;
    }
  }
  return plan;
}

/** A model behind a provider's slug need not be in the catalog: the provider knows its own models. */
function prefixed(provider: ProviderEntry, name: string, snapshot: Snapshot, caller: Caller): Target {
  if (!isUsable(provider, ownKeysOf(caller))) {
    throw new ModelNotFoundError(`The provider "${provider.slug}" is switched off or has no key yet.`);
  }
  const offer = snapshot.modelsByName.get(name)?.find((one) => one.provider === provider);
  if (offer) return offer;
  if (provider.models.some((entry) => entry.name === name))
    throw new ModelNotFoundError(`The model "${shorten(name)}" is switched off.`);
  if (name === '') throw new ModelNotFoundError(`Name a model behind "${provider.slug}/".`);
  return { provider, model: { name, price: null, contextTokens: null, maxOutputTokens: null } };
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
