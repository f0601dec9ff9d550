import { ForbiddenError, ModelNotFoundError, shorten } from '../../platform/errors.ts';
import { type Caller, ownKeysOf } from '../admission/caller.ts';
import type { RouteEntry, Snapshot } from '../snapshot/snapshot.ts';
import { behindProvider, type Choice, choiceOfRoute, choiceOfTargets, signatureOf } from './choice.ts';
import { nearestNames } from './nearest.ts';
import type { PowerLevel } from './power-level.ts';
import { isUsable, offersOf, usableProviders } from './usable.ts';

export const DEFAULT_ROUTE = 'default';

/** Choices that are kept for a snapshot; beyond them the oldest is made again when it is needed. */
const MOST_CHOICES = 2_000;
/** The same of all their candidates together: about 60 MB. */
const MOST_CANDIDATES = 200_000;
/** Clients may name a model that no catalog knows; what is longer than any real name is not kept. */
const LONGEST_KEPT = 500;

/**
 * Finds the candidates of a request. The order: route slug, route alias, `route/hint` for a route in SPECIFIC mode,
 * provider slug as a prefix, bare catalog model (the active provider first, then by priority). Absent: the default route.
 * @param powerLevel narrows the candidates of a route that allows it
 * @throws ModelNotFoundError, ForbiddenError (an API key that may not use the route)
 */
export function resolve(name: string | null, snapshot: Snapshot, caller: Caller, powerLevel: PowerLevel): Choice {
  const wanted = name || DEFAULT_ROUTE;
  const route = snapshot.routes.get(wanted);
  if (route) return throughRoute(route, null, snapshot, caller, powerLevel);

  const slash = wanted.indexOf('/');
  const hinted = slash > 0 ? snapshot.routes.get(wanted.slice(0, slash)) : undefined;
  if (hinted?.mode === 'SPECIFIC') return throughRoute(hinted, wanted.slice(slash + 1), snapshot, caller, powerLevel);

  assertAnyModelAllowed(caller, wanted);
  return remembered(snapshot, `model ${wanted} ${signatureOf(ownKeysOf(caller))}`, () =>
    throughModel(wanted, snapshot, caller),
  );
}

/**
 * The candidates of a route.
 * @param hint what the client said behind the name of a route in SPECIFIC mode; null: nothing
 * @throws ModelNotFoundError, ForbiddenError (an API key that may not use the route)
 */
export function throughRoute(
  route: RouteEntry,
  hint: string | null,
  snapshot: Snapshot,
  caller: Caller,
  powerLevel: PowerLevel,
): Choice {
  if (!mayUse(caller, route)) throw new ForbiddenError(`This API key may not use the route "${route.slug}".`);
  const ownKeys = ownKeysOf(caller);
  const level = route.allowsPowerLevel ? powerLevel : null;
  return remembered(snapshot, `route ${route.id} ${level} ${signatureOf(ownKeys)} ${hint ?? ''}`, () => {
    const choice = choiceOfRoute(route, { snapshot, ownKeys, hint, powerLevel: level });
    if (choice) return choice;
    throw new ModelNotFoundError(
      hint === null
        ? `The route "${route.slug}" has no provider that can be used now: enable one, or give it a key.`
        : `The route "${route.slug}" has no target "${shorten(hint)}".`,
    );
  });
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

function throughModel(wanted: string, snapshot: Snapshot, caller: Caller): Choice {
  const ownKeys = ownKeysOf(caller);
  const behind = behindProvider(wanted, snapshot);
  if (behind) {
    const { provider, model } = behind;
    if (!isUsable(provider, ownKeys))
      throw new ModelNotFoundError(`The provider "${provider.slug}" is switched off or has no key yet.`);
    if ('isEnabled' in model && !model.isEnabled)
      throw new ModelNotFoundError(`The model "${shorten(model.name)}" is switched off.`);
    if (model.name === '') throw new ModelNotFoundError(`Name a model behind "${provider.slug}/".`);
  }
  const choice = choiceOfTargets(behind ? [behind] : offersOf(wanted, snapshot, ownKeys));
  if (choice) return choice;
  throw new ModelNotFoundError(
    `There is no route or model "${shorten(wanted)}" that can be used now.`,
    nearestNames(wanted, listModels(snapshot, caller).keys()),
  );
}

/** What names mean in a snapshot, and how many candidates that are. */
interface Meanings {
  choices: Map<string, Choice>;
  candidates: number;
}

/** A snapshot never changes, so neither does what a name means in it. */
const known = new WeakMap<Snapshot, Meanings>();

function remembered(snapshot: Snapshot, key: string, make: () => Choice): Choice {
  const meanings = known.get(snapshot) ?? { choices: new Map<string, Choice>(), candidates: 0 };
  known.set(snapshot, meanings);
  const found = meanings.choices.get(key);
  if (found) return found;
  const made = make();
  if (key.length > LONGEST_KEPT) return made;
  meanings.choices.set(key, made);
  meanings.candidates += made.candidates.length;
  for (const [oldest, choice] of meanings.choices) {
    if (meanings.choices.size <= MOST_CHOICES && meanings.candidates <= MOST_CANDIDATES) break;
    meanings.choices.delete(oldest);
    meanings.candidates -= choice.candidates.length;
  }
  return made;
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
