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

export interface RouteTargetEntry {
  id: string;
  providerId: string;
  /** Empty: the provider's enabled models. */
  models: readonly string[];
  priority: number;
  /** Its share under the strategy WEIGHTED, relative to the others'; 0: none at all. */
  weight: number;
}

export interface RouteEntry {
  id: string;
  slug: string;
  aliases: readonly string[];
  mode: 'AUTO' | 'SPECIFIC';
  /** How one of the targets is picked. */
  strategy: 'FAILOVER' | 'ROUND_ROBIN' | 'WEIGHTED';
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
