import type { PriceVersion } from '../ledger/prices.ts';
import type { DialectName } from '../upstream/dialect.ts';
import type { ProviderKind } from '../upstream/kinds.ts';

/** A price that was stated in Signalbox: by an admin, which goes before everything else, or by the catalog. */
export interface StatedPrice extends PriceVersion {
  source: 'OVERRIDE' | 'CATALOG';
}

export interface ModelEntry {
  id: string;
  /** The name the provider knows it by. */
  name: string;
  price: StatedPrice | null;
  contextTokens: number | null;
  maxOutputTokens: number | null;
  /** 0 to 100; null: not known. */
  quality: number | null;
  isEnabled: boolean;
}

/** A key of a provider, decrypted; it never leaves the gateway. */
export interface ProviderKey {
  id: string;
  secret: string;
  /** Its share of the provider's calls, relative to the others': a whole number from 1. */
  weight: number;
}

export interface ProviderEntry {
  id: string;
  slug: string;
  name: string;
  kind: ProviderKind;
  dialect: DialectName;
  /** Resolved: the provider's own, the kind's default, or this server's sandbox. No slash at the end. */
  baseUrl: string;
  /** The same taken apart, once for all requests. */
  origin: string;
  basePath: string;
  isEnabled: boolean;
  /** While it is disabled, users with keys of their own may use it all the same. */
  isOpenToOwnKeys: boolean;
  priority: number;
  timeoutMs: number;
  /** Where it computes, in the operator's words; null: not said. */
  region: string | null;
  /** The system's. */
  keys: readonly ProviderKey[];
  /** In the order of their position. */
  models: readonly ModelEntry[];
}

/** A model that is switched on, with its provider, which need not be. */
export interface OfferedModel {
  provider: ProviderEntry;
  model: ModelEntry;
}

export type RouteMode = 'AUTO' | 'SPECIFIC' | 'MULTI';

/** How one of a route's targets is picked. */
export type RouteStrategy = ModelStrategy | 'WEIGHTED' | 'CUSTOM';

/** How one of a target's models is picked. */
export type ModelStrategy = 'FAILOVER' | 'ROUND_ROBIN' | 'COST' | 'LATENCY' | 'BALANCED';

export type StickyKey = 'SESSION' | 'USER' | 'API_KEY';

export interface RouteTargetEntry {
  id: string;
  providerId: string;
  /** Empty: all enabled models of the provider. */
  models: readonly string[];
  priority: number;
  /** Its share under the strategy WEIGHTED, relative to the others'; 0: none at all. */
  weight: number;
  /** How one of its models is picked. */
  strategy: ModelStrategy;
  /** The slots of sticky keys that are its own, as ranges: from, to (exclusive), from, to … */
  slots: readonly number[];
}

/** How much of a score each input makes up; the sum is 100. */
export interface ScoreWeights {
  cost: number;
  latency: number;
  quality: number;
}

export interface RouteEntry {
  id: string;
  slug: string;
  aliases: readonly string[];
  mode: RouteMode;
  strategy: RouteStrategy;
  /** Of the strategy CUSTOM; null under the others. */
  scoreWeights: ScoreWeights | null;
  /** Callers' power levels narrow its candidates. */
  allowsPowerLevel: boolean;
  /** Whose requests go to the same target under WEIGHTED; null: nobody's. */
  stickyBy: StickyKey | null;
  /** Upstream calls after the first one. */
  maxRetries: number;
  /** Over all attempts together; null: no limit but the providers' own. */
  totalTimeoutMs: number | null;
  /** Null: the server's setting. */
  firstTokenTimeoutMs: number | null;
  /** Null: the server's setting. */
  stallTimeoutMs: number | null;
  /** Tried after all targets: names as clients put them in `model`. */
  fallbacks: readonly string[];
  /** Regions of providers, the best one first. */
  preferredRegions: readonly string[];
  /** Whether another target begins anew when an answer that has begun breaks off. */
  restartPolicy: 'NEVER' | 'OTHER_TARGET';
  /** Whether another target is asked when a provider refuses a request for its content. */
  refusalPolicy: 'PROPAGATE' | 'OTHER_TARGET';
  /** How long a whole answer serves equal requests of the same caller; null: not at all. */
  cacheTtlSeconds: number | null;
  version: number;
  /** In the order of their priority; empty: the active provider, then the others by priority. */
  targets: readonly RouteTargetEntry[];
}

/** The configuration as one immutable value. A request keeps the one it started with. */
export interface Snapshot {
  version: bigint;
  activeProviderId: string | null;
  /** In the order of priority, then slug. */
  providers: readonly ProviderEntry[];
  providersById: ReadonlyMap<string, ProviderEntry>;
  providersBySlug: ReadonlyMap<string, ProviderEntry>;
  /** Models that are switched on by name; several providers may have one of that name, by priority. */
  modelsByName: ReadonlyMap<string, readonly OfferedModel[]>;
  /** Active routes by slug and by alias; a slug wins over an alias. */
  routes: ReadonlyMap<string, RouteEntry>;
}
