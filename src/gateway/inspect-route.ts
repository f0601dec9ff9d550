import { powerLevelOf, stickyKeyOf } from './admission/admit.ts';
import { type Caller, ownKeysOf } from './admission/caller.ts';
import { candidatesOf } from './routing/candidates.ts';
import { type Explanation, explain } from './routing/explain.ts';
import type { TargetState } from './routing/health.ts';
import type { PowerLevel } from './routing/power-level.ts';
import { throughRoute } from './routing/resolve.ts';
import type { RouteEntry, Snapshot } from './snapshot/snapshot.ts';
import type { Steering } from './steering.ts';

/** What a request may say besides the route. */
export interface RouteWish {
  /** Of a route in SPECIFIC mode. */
  hint?: string | null;
  /** Absent: the caller's own preference. */
  powerLevel?: PowerLevel | null;
  sessionKey?: string | null;
}

/** A route on this server. Times in milliseconds since 1970. */
export interface RouteState {
  /** Requests that were picked for by their number, without a hint. */
  picks: number;
  targets: readonly ({
    targetId: string | null;
    /** Slug. */
    provider: string;
    model: string;
    /** Until when all keys of the provider rest; null: they do not. */
    restingUntil: number | null;
  } & TargetState)[];
}

/** Picks as for a request to the route, and counts the pick. */
export function selectRoute(
  { router }: Steering,
  route: RouteEntry,
  snapshot: Snapshot,
  caller: Caller,
  wish: RouteWish,
): Explanation {
  const { hint = null, powerLevel, sessionKey } = wish;
  const choice = throughRoute(route, hint, snapshot, caller, powerLevel ?? powerLevelOf(caller));
  const stickyKey = stickyKeyOf(choice, { caller, ...(sessionKey ? { sessionKey } : {}) });
  const asking = { ownKeys: ownKeysOf(caller), kind: 'STREAM' as const, stickyKey, at: Date.now() };
  const { field, decision, picked } = router.decide(choice, asking);
  return explain(field, decision, picked, decision);
}

/** How the targets of a route do; those that cannot be used at all are left out. */
export function stateOfRoute(
  { health, router }: Steering,
  route: RouteEntry,
  snapshot: Snapshot,
  caller: Caller,
): RouteState {
  const now = Date.now();
  const narrowing = { snapshot, ownKeys: ownKeysOf(caller), hint: null, powerLevel: null };
  const targets = candidatesOf(route, null, narrowing).targets.filter((target) => target !== null);
  return {
    picks: router.picksOf(route.id),
    targets: targets.map((target) => {
      const restingUntil = health.keys.restOfAll(target.provider, now);
      return {
        targetId: target.id,
        provider: target.provider.slug,
        model: target.model.name,
        restingUntil: restingUntil > now ? restingUntil : null,
        ...health.stateOf(target, now),
      };
    }),
  };
}
