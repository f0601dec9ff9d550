import type { OwnKeys } from '../admission/caller.ts';
import type { RouteEntry, Snapshot } from '../snapshot/snapshot.ts';
import {
  type Candidates,
  candidatesAmong,
  candidatesOf,
  type Narrowing,
  type Target,
  uncatalogued,
} from './candidates.ts';
import { type Candidate, type CandidateFacts, candidatesIn } from './facts.ts';
import { weightsOf } from './rank.ts';
import { isUsable, offersOf } from './usable.ts';

/** Upstream calls after the first one, where no route says how many. */
const DEFAULT_RETRIES = 3;

/** What a name in `model` means, before one of its candidates is picked. Immutable, and shared by many requests. */
export interface Choice {
  route: RouteEntry | null;
  facts: CandidateFacts;
  candidates: readonly Candidate[];
  /** By place; null: it is excluded. Not all are. */
  targets: readonly (Target | null)[];
  /** What its picks are counted under; null: nothing goes by their number. */
  countedAs: string | null;
  /** Targets (their place among all) whose picks are counted for themselves, with what they are counted under. */
  countedTargets: ReadonlyMap<number, string>;
  /** Whether a strategy goes by latency. */
  usesLatency: boolean;
  warnings: readonly string[];
}

/** A route and its fallbacks. Null: none of them has a candidate that can be used. */
export function choiceOfRoute(route: RouteEntry, narrowing: Narrowing): Choice | null {
  const wanted = route.allowsPowerLevel ? narrowing.powerLevel : null;
  const atLevel = candidatesOf(route, null, { ...narrowing, powerLevel: wanted });
  const isNarrow = wanted !== null && !hasUsable(atLevel);
  // Better an answer at another price than none.
  const own = isNarrow ? candidatesOf(route, null, { ...narrowing, powerLevel: null }) : atLevel;
  const warnings = isNarrow && hasUsable(own) ? [noneAt(wanted, route)] : [];
  const fallbacks = route.fallbacks.flatMap((name) => fallbackOf(name, narrowing));
  // What narrows the candidates is counted apart: each must get its turn among those that it is compared with.
  const { hint, ownKeys } = narrowing;
  const narrowed = [
    hint === null ? '' : `/${hint}`,
    wanted === null || isNarrow ? '' : `@${wanted}`,
    signatureOf(ownKeys),
  ];
  const countedAs = route.id + narrowed.join('');
  return choiceAmong(route, [own, ...fallbacks], countedAs, warnings);
}

/** Targets that no route names, one after the other. */
export function choiceOfTargets(targets: Parameters<typeof candidatesAmong>[0]): Choice | null {
  return choiceAmong(null, [candidatesAmong(targets, null)], null, []);
}

function choiceAmong(
  route: RouteEntry | null,
  all: readonly Candidates[],
  countedAs: string | null,
  warnings: readonly string[],
): Choice | null {
  if (!all.some(hasUsable)) return null;
  const sections = all.map(({ section }) => section);
  const facts: CandidateFacts = {
    route: route && { id: route.id, version: route.version },
    attempts: 1 + (route?.maxRetries ?? DEFAULT_RETRIES),
    sections,
  };
  const strategies = sections.map(({ strategy, weights }) => [strategy, weightsOf(strategy, weights)] as const);
  const targets = sections.flatMap((section) => section.targets);
  const counts = strategies.some(
    ([strategy, weights]) => strategy === 'ROUND_ROBIN' || strategy === 'WEIGHTED' || (weights?.latency ?? 0) > 0,
  );
  const countedTargets = new Map<number, string>();
  for (const [index, target] of targets.entries()) {
    const isCounted = target.strategy !== 'FAILOVER' && target.strategy !== 'COST' && target.models.length > 1;
    if (isCounted) countedTargets.set(index, `${countedAs}#${target.id ?? target.provider}`);
  }
  return {
    route,
    facts,
    candidates: candidatesIn(facts),
    targets: all.flatMap((one) => one.targets),
    countedAs: counts ? countedAs : null,
    countedTargets,
    usesLatency:
      strategies.some(([, weights]) => (weights?.latency ?? 0) > 0) ||
      targets.some(({ strategy }) => strategy === 'LATENCY' || strategy === 'BALANCED'),
    warnings,
  };
}

/** A fallback of a fallback is not followed, so that there is an end. What is gone or cannot be used is passed over. */
function fallbackOf(name: string, narrowing: Narrowing): Candidates[] {
  const { snapshot, ownKeys } = narrowing;
  const route = snapshot.routes.get(name);
  if (route) return [candidatesOf(route, name, { ...narrowing, hint: null, powerLevel: null })];
  const behind = behindProvider(name, snapshot);
  if (behind) return isUsable(behind.provider, ownKeys) ? [candidatesAmong([behind], name)] : [];
  return [candidatesAmong(offersOf(name, snapshot, ownKeys), name)];
}

/**
 * A model behind the longest provider slug that is a prefix of a name; null: no provider's is. A model need not be in
 * the catalog: the provider knows its own models.
 */
export function behindProvider(name: string, { providersBySlug }: Snapshot): Omit<Target, 'id'> | null {
  const slash = name.indexOf('/');
  const provider = slash > 0 ? providersBySlug.get(name.slice(0, slash)) : undefined;
  if (!provider) return null;
  const rest = name.slice(slash + 1);
  return { provider, model: provider.models.find((model) => model.name === rest) ?? uncatalogued(rest) };
}

function hasUsable({ targets }: Candidates): boolean {
  return targets.some((target) => target !== null);
}

function noneAt(level: string, { slug }: RouteEntry): string {
  return `The route "${slug}" has no model at the power level ${level} that can be used now: all were considered.`;
}

const signatures = new WeakMap<OwnKeys, string>();

/** Names what a caller's own keys change about who is usable. */
export function signatureOf(ownKeys: OwnKeys): string {
  if (ownKeys.size === 0) return '';
  const known = signatures.get(ownKeys);
  if (known !== undefined) return known;
  const signature = [...ownKeys]
    .map(([id, key]) => (key ? id : `-${id}`))
    .sort()
    .join();
  signatures.set(ownKeys, signature);
  return signature;
}
