import type { Prisma, Route } from '../../generated/prisma/client.ts';
import type { RouteProperties } from './input.ts';

/** What admins say of a route, as it is stored; its targets apart. */
export type RouteColumns = Omit<Route, 'id' | 'version' | 'createdAt' | 'updatedAt' | 'config'> & {
  config: Prisma.InputJsonValue;
};

/** A route of which nothing is said but its names. */
export function newRoute(slug: string, name: string): RouteColumns {
  return {
    slug,
    name,
    aliases: [],
    description: null,
    mode: 'AUTO',
    strategy: 'FAILOVER',
    costWeight: null,
    latencyWeight: null,
    qualityWeight: null,
    isActive: true,
    allowsPowerLevel: false,
    stickyBy: null,
    maxRetries: 3,
    totalTimeoutMs: null,
    firstTokenTimeoutMs: null,
    stallTimeoutMs: null,
    fallbacks: [],
    preferredRegions: [],
    restartPolicy: 'NEVER',
    refusalPolicy: 'PROPAGATE',
    cacheTtlSeconds: null,
    config: {},
  };
}

/** A route as an input wants it: what that does not say is as it was. */
export function changed(old: RouteColumns, wanted: RouteProperties): RouteColumns {
  const strategy = wanted.strategy ?? old.strategy;
  return {
    slug: wanted.slug ?? old.slug,
    name: wanted.name ?? old.name,
    aliases: wanted.aliases ?? old.aliases,
    description: orNull(wanted.description, old.description),
    mode: wanted.mode ?? old.mode,
    strategy,
    ...(strategy === 'CUSTOM' ? scoreColumns(old, wanted) : NO_SCORE_WEIGHTS),
    isActive: wanted.isActive ?? old.isActive,
    allowsPowerLevel: wanted.allowsPowerLevel ?? old.allowsPowerLevel,
    stickyBy: orNull(wanted.stickyBy, old.stickyBy),
    maxRetries: wanted.maxRetries ?? old.maxRetries,
    totalTimeoutMs: orNull(wanted.totalTimeoutMs, old.totalTimeoutMs),
    firstTokenTimeoutMs: orNull(wanted.firstTokenTimeoutMs, old.firstTokenTimeoutMs),
    stallTimeoutMs: orNull(wanted.stallTimeoutMs, old.stallTimeoutMs),
    fallbacks: wanted.fallbacks ?? old.fallbacks,
    preferredRegions: wanted.preferredRegions ?? old.preferredRegions,
    restartPolicy: wanted.restartPolicy ?? old.restartPolicy,
    refusalPolicy: wanted.refusalPolicy ?? old.refusalPolicy,
    cacheTtlSeconds: orNull(wanted.cacheTtlSeconds, old.cacheTtlSeconds),
    config: (wanted.config ?? old.config) as Prisma.InputJsonValue,
  };
}

/** Of every strategy but CUSTOM. */
export const NO_SCORE_WEIGHTS = { costWeight: null, latencyWeight: null, qualityWeight: null } as const;

type ScoreColumns = Pick<RouteColumns, keyof typeof NO_SCORE_WEIGHTS>;

function scoreColumns(old: ScoreColumns, { scoreWeights }: RouteProperties): ScoreColumns {
  if (!scoreWeights) {
    const { costWeight, latencyWeight, qualityWeight } = old;
    return { costWeight, latencyWeight, qualityWeight };
  }
  return {
    costWeight: scoreWeights.cost,
    latencyWeight: scoreWeights.latency,
    qualityWeight: scoreWeights.quality,
  };
}

/** For what may be null: absent leaves it as it is. */
function orNull<T>(wanted: T | null | undefined, old: T | null): T | null {
  return wanted === undefined ? old : wanted;
}
