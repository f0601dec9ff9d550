import { setNewest } from '../../platform/bounded-map.ts';
import type { OwnKeys } from '../admission/caller.ts';
import type { ProviderEntry, ProviderKey } from '../snapshot/snapshot.ts';
import type { Failure } from '../upstream/failure.ts';

const REJECTED_MS = 5 * 60_000;
/** A rejected key that has rested is tried by one call; the others leave it alone for this long. */
const TRIAL_MS = 60_000;
const LIMITED_MS = 30_000;
/** Whoever asks for longer is out of money rather than busy: the key rests, but is tried where nothing else is left. */
const LONGEST_HONOURED_MS = 10 * 60_000;
const LONGEST_LIMITED_MS = 3_600_000;
/** Keys that are remembered to rest; beyond them the one that was at fault longest ago is forgotten. */
const MOST_RESTS = 10_000;

/** Why a key rests: the provider does not accept it, or limits it. */
export type KeyFault = NonNullable<Failure['key']>;

/** All times in milliseconds since 1970. */
export interface KeyRest {
  reason: KeyFault;
  /** The provider asked to be left alone for that long, and is; else it is a guess. */
  isAsked: boolean;
  since: number;
  until: number;
}

/** What a provider can be called with: a key (null: it needs none), one that rests, or nothing that was not tried. */
export type KeyChoice =
  | { kind: 'READY'; key: ProviderKey | null }
  | { kind: 'RESTING'; key: ProviderKey | null; until: number; isAsked: boolean }
  | { kind: 'NONE' };

/** The keys that a caller's calls to a provider go with: their own one alone, if they have one; else the system's. */
export function keysOf(provider: ProviderEntry, ownKeys: OwnKeys): readonly ProviderKey[] {
  const own = ownKeys.get(provider.id);
  if (own === undefined) return provider.keys;
  return own === null ? [] : [own];
}

/**
 * Chooses among the keys of a provider, by weight, and lets those rest that were at fault. What it knows is this
 * server's; a key that is changed has another id, and with it a fresh start.
 */
export class KeyRing {
  readonly #rests = new Map<string, KeyRest>();
  /** Where the round of a provider's keys stands. A new snapshot begins a new one. */
  readonly #rounds = new WeakMap<readonly ProviderKey[], number[]>();
  readonly #changed: () => void;

  /** @param changed called whenever a key begins to rest, or ends it before its time */
  constructor(changed: () => void = () => undefined) {
    this.#changed = changed;
  }

  /** Keys that rest, or did and were not used since. */
  get resting(): number {
    return this.#rests.size;
  }

  /** Until when none of a provider's keys is ready, in milliseconds since 1970; 0: one is. */
  restOfAll({ id, keys }: Pick<ProviderEntry, 'id' | 'keys'>, now = Date.now()): number {
    if (keys.length === 0) return this.restOf(id, now)?.until ?? 0;
    let soonest = Number.POSITIVE_INFINITY;
    for (const key of keys) soonest = Math.min(soonest, this.restOf(key.id, now)?.until ?? 0);
    return soonest;
  }

  /**
   * @param providerId rests in place of a key where the provider has none
   * @param keys the provider's
   * @param tried ids of those that are out of the question
   */
  choose(providerId: string, keys: readonly ProviderKey[], tried: ReadonlySet<string>, now = Date.now()): KeyChoice {
    if (keys.length === 0) return this.#withoutKey(providerId, now);
    const ready: boolean[] = [];
    let soonest: { key: ProviderKey; until: number; isAsked: boolean } | null = null;
    for (const key of keys) {
      const rest = this.restOf(key.id, now);
      const isOut = tried.has(key.id);
      ready.push(!isOut && rest === null);
      if (isOut || rest === null || (soonest !== null && rest.until >= soonest.until)) continue;
      soonest = { key, until: rest.until, isAsked: rest.isAsked };
    }
    const key = this.#pick(keys, ready);
    if (key === null) return soonest ? { kind: 'RESTING', ...soonest } : { kind: 'NONE' };
    const rest = this.#rests.get(key.id);
    if (rest?.reason === 'REJECTED') {
      rest.until = now + TRIAL_MS;
      this.#changed();
    }
    return { kind: 'READY', key };
  }

  /**
   * @param retryAfterMs how long the provider wants to be left alone; null: it did not say
   * @param isOwn the key is one caller's own: nobody else's decisions change
   */
  rest(keyId: string, reason: KeyFault, retryAfterMs: number | null, now = Date.now(), isOwn = false): void {
    const isAsked = reason === 'LIMITED' && !!retryAfterMs && retryAfterMs <= LONGEST_HONOURED_MS;
    const limitedMs = Math.min(retryAfterMs || LIMITED_MS, LONGEST_LIMITED_MS);
    const until = now + (reason === 'REJECTED' ? REJECTED_MS : limitedMs);
    setNewest(this.#rests, keyId, { reason, isAsked, since: now, until }, MOST_RESTS);
    if (!isOwn) this.#changed();
  }

  /** A call with the key was answered. One that began before the fault says nothing about the time after it. */
  answered(keyId: string, startedAt: number): void {
    const rest = this.#rests.get(keyId);
    if (!rest || startedAt < rest.since) return;
    this.#rests.delete(keyId);
    this.#changed();
  }

  /** The provider took the key for what costs nothing: it is not rejected, but may still be limited. */
  accepted(keyId: string, startedAt: number): void {
    if (this.#rests.get(keyId)?.reason === 'REJECTED') this.answered(keyId, startedAt);
  }

  /** Null: it does not rest now. */
  restOf(keyId: string, now = Date.now()): Readonly<KeyRest> | null {
    const rest = this.#rests.get(keyId);
    return rest && rest.until > now ? rest : null;
  }

  #withoutKey(providerId: string, now: number): KeyChoice {
    const rest = this.restOf(providerId, now);
    if (rest === null) return { kind: 'READY', key: null };
    return { kind: 'RESTING', key: null, until: rest.until, isAsked: rest.isAsked };
  }

  /**
   * Smooth weighted round robin: each key that is ready gains its weight, and the one that has most pays for all. While
   * the same keys are ready, each has exactly its share of every round, evenly spread.
   */
  #pick(keys: readonly ProviderKey[], ready: readonly boolean[]): ProviderKey | null {
    const standing = this.#rounds.get(keys) ?? keys.map(() => 0);
    let total = 0;
    let best: number | null = null;
    for (const [index, { weight }] of keys.entries()) {
      if (!ready[index]) continue;
      total += weight;
      standing[index] = (standing[index] ?? 0) + weight;
      if (best === null || (standing[index] ?? 0) > (standing[best] ?? 0)) best = index;
    }
    if (best === null) return null;
    standing[best] = (standing[best] ?? 0) - total;
    this.#rounds.set(keys, standing);
    return keys[best] ?? null;
  }
}
