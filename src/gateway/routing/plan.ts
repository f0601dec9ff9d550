import type { ProviderEntry, ProviderKey } from '../snapshot/snapshot.ts';
import type { Remedy } from '../upstream/failure.ts';
import type { Target } from './resolve.ts';

/** The first attempt and three more. */
export const MOST_ATTEMPTS = 4;

/** Where the next call goes, and the key it goes with; null for a provider that needs none. */
export interface Step {
  target: Target;
  key: ProviderKey | null;
  /** From 1. */
  number: number;
}

/** Finds a key of a provider besides those that were tried; null: there is none. */
export type ChooseKey = (provider: ProviderEntry, tried: ReadonlySet<string>) => ProviderKey | null;

/**
 * The calls of one completion: its targets in their order, and a target again with another key where only the key was
 * at fault. At most `MOST_ATTEMPTS` in all.
 */
export class Plan {
  readonly #targets: readonly Target[];
  readonly #chooseKey: ChooseKey;
  readonly #triedKeys = new Set<string>();
  #position = 0;
  #steps = 0;

  constructor(targets: readonly Target[], chooseKey: ChooseKey) {
    this.#targets = targets;
    this.#chooseKey = chooseKey;
  }

  first(): Step | null {
    const target = this.#targets[0];
    return target ? this.#step(target, this.#chooseKey(target.provider, this.#triedKeys)) : null;
  }

  /** What follows a step that failed; null: nothing does. */
  after({ target }: Step, remedy: Remedy): Step | null {
    if (remedy === 'NONE' || remedy === 'LARGER_MODEL' || this.#steps >= MOST_ATTEMPTS) return null;
    if (remedy === 'OTHER_KEY') {
      const key = this.#chooseKey(target.provider, this.#triedKeys);
      if (key) return this.#step(target, key);
    }
    const next = this.#targets[++this.#position];
    return next ? this.#step(next, this.#chooseKey(next.provider, this.#triedKeys)) : null;
  }

  #step(target: Target, key: ProviderKey | null): Step {
    if (key) this.#triedKeys.add(key.id);
    this.#steps++;
    return { target, key, number: this.#steps };
  }
}
