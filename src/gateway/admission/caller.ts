import type { PowerLevel } from '../routing/power-level.ts';
import type { ProviderKey } from '../snapshot/snapshot.ts';

export type Role = 'ADMIN' | 'USER';
export type Tier = 'FREE' | 'STARTER' | 'PROFESSIONAL' | 'ENTERPRISE';

/** A user's own keys by the provider's id. Null: it cannot be decrypted, and the system's does not stand in for it. */
export type OwnKeys = ReadonlyMap<string, ProviderKey | null>;

export const NO_OWN_KEYS: OwnKeys = new Map();

/** A person with an account, as the gateway and the control plane know them. */
export interface Account {
  id: string;
  email: string;
  name: string | null;
  role: Role;
  tier: Tier;
  isActive: boolean;
  /** For routes that allow it, where a request says nothing. */
  powerLevel: PowerLevel;
  /** Absent: they have none. */
  ownKeys?: OwnKeys;
  /** The allowance of their credits. Absent: they were never granted any, and are not limited by them. */
  creditsId?: string;
}

/** An API key without its secret. */
export interface IssuedKey {
  id: string;
  ownerId: string;
  name: string;
  /** May act on the control plane with its owner's role. */
  isAdmin: boolean;
  /** Route slugs; empty: all. */
  allowedRoutes: readonly string[];
  rateLimitPerMinute: number | null;
  /** Milliseconds since 1970. */
  expiresAt: number | null;
  revokedAt: number | null;
}

/** Who is asking: a signed-in user, the owner of an API key, or nobody. */
export type Caller =
  | { kind: 'USER'; account: Account /** When the token expires, ms since 1970. */; expiresAt: number }
  | { kind: 'API_KEY'; account: Account; key: IssuedKey }
  | { kind: 'ANONYMOUS'; address: string };

/** The keys that serve the caller in place of the system's. */
export function ownKeysOf(caller: Caller): OwnKeys {
  return (caller.kind !== 'ANONYMOUS' && caller.account.ownKeys) || NO_OWN_KEYS;
}

/** May read and change what is the caller's own on the control plane. */
export function mayUseControlPlane(caller: Caller): boolean {
  return caller.kind === 'USER' || (caller.kind === 'API_KEY' && caller.key.isAdmin);
}

/** May change configuration and read what belongs to others. */
export function isAdmin(caller: Caller): boolean {
  return mayUseControlPlane(caller) && caller.kind !== 'ANONYMOUS' && caller.account.role === 'ADMIN';
}
