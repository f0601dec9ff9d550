import type { ProviderEntry, ProviderKey } from '../snapshot/snapshot.ts';
import type { Remedy } from '../upstream/failure.ts';
import type { KeyChoice } from './keys.ts';
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

/** What a provider can be called with, besides the keys that were at fault already. */
export type ChooseKey = (provider: ProviderEntry, tried: ReadonlySet<string>) => KeyChoice;

/**
 * The calls of one completion: its targets in their order, and a target again with another key where only the key was
 * at fault. Targets whose keys all rest come last, the one that rests shortest first: better tried than refused. At
 * most `MOST_ATTEMPTS` in all.
 */
export class Plan {
  readonly #waiting: Target[];
  readonly #resting: Target[] = [];
  readonly #chooseKey: ChooseKey;
  readonly #triedKeys = new Set<string>();
  #steps = 0;

  constructor(targets: readonly Target[], chooseKey: ChooseKey) {
    this.#waiting = [...targets];
    this.#chooseKey = chooseKey;
  }

  first(): Step | null {
    return this.#next();
  }

  /** What follows a step that failed; null: nothing does. */
  after({ target, key }: Step, remedy: Remedy): Step | null {
    if (remedy === 'NONE' || remedy === 'LARGER_MODEL' || this.#steps >= MOST_ATTEMPTS) return null;
    if (remedy === 'OTHER_KEY' && key) {
      this.#triedKeys.add(key.id);
      this.#waiting.unshift(target);
    }
    return this.#next();
  }

  #next(): Step | null {
    for (let target = this.#waiting.shift(); target; target = this.#waiting.shift()) {
      const choice = this.#chooseKey(target.provider, this.#triedKeys);
      if (choice.kind === 'READY') return this.#step(target, choice.key);
      if (choice.kind === 'RESTING') this.#resting.push(target);
    }
    return this.#soonest();
  }

  #soonest(): Step | null {
    let best: { target: Target; key: ProviderKey | null; until: number } | null = null;
    for (const target of this.#resting) {
      const choice = this.#chooseKey(target.provider, this.#triedKeys);
      if (choice.kind === 'NONE') continue;
      const until = choice.kind === 'RESTING' ? choice.until : 0;
      if (best === null || until < best.until) best = { target, key: choice.key, until };
    }
    if (best === null) return null;
    this.#resting.splice(this.#resting.indexOf(best.target), 1);
    return this.#step(best.target, best.key);
  }

  #step(target: Target, key: ProviderKey | null): Step {
    this.#steps++;
    return { target, key, number: this.#steps };
  }
}
