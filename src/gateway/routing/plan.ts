import { ContentFilterError, ValidationError } from '../../platform/errors.ts';
import type { ProviderEntry, ProviderKey } from '../snapshot/snapshot.ts';
import type { Failure } from '../upstream/failure.ts';
import { backoffMs } from './backoff.ts';
import { nameOf, type Target } from './candidates.ts';
import type { KeyChoice } from './keys.ts';

/** Longer than this no client is kept waiting for a target that asked to be left alone. */
const LONGEST_WAIT_MS = 30_000;

/** With less time than this no call is begun. */
const LEAST_TIME_MS = 10;

/** Those who wait for a target that asked to be left alone come back over so long at most. */
const LONGEST_SPREAD_MS = 2_000;

/** Where the next call goes, and the key it goes with; null for a provider that needs none. */
export interface Step {
  target: Target;
  key: ProviderKey | null;
  /** From 1. */
  number: number;
  /** How long to wait before it, in milliseconds. */
  waitMs: number;
}

/** What of the present a plan needs. */
export interface PlanWorld {
  /** What a provider can be called with, besides the keys that were at fault already. */
  chooseKey(provider: ProviderEntry, tried: ReadonlySet<string>): KeyChoice;
  now(): number;
  /** From 0 to 1. */
  random(): number;
}

export interface PlanLimits {
  /** Upstream calls in all. */
  attempts: number;
  /** Nothing is begun after it, in milliseconds since 1970; null: no limit. */
  deadline: number | null;
  /** Whether a target whose failure may pass is called again. */
  triesAgain: boolean;
  /** Whether another target is asked when one refuses a request for its content. */
  asksOthersOnRefusal: boolean;
}

/** A target and what became of it so far. Times in milliseconds since 1970. */
interface Place {
  target: Target;
  /** Calls that failed and may be made again. */
  failures: number;
  /** When the next one may be. */
  readyAt: number;
  /** It was called, or could not be. */
  isTried: boolean;
  /** It is not called again for this completion. */
  isOut: boolean;
}

/**
 * The calls of one completion, bounded from the start. Each target in its order; one whose key was at fault again with
 * another of its keys; and once all were tried, those again whose failure may have passed, after a while. A target that
 * asked to be left alone is left alone for that long.
 */
export class Plan {
  readonly #places: Place[];
  readonly #others: () => readonly Target[];
  readonly #limits: PlanLimits;
  readonly #world: PlanWorld;
  readonly #triedKeys = new Set<string>();
  #steps = 0;

  /**
   * @param order never empty
   * @param others where a request may go that is too long for the former
   */
  constructor(order: readonly Target[], others: () => readonly Target[], limits: PlanLimits, world: PlanWorld) {
    this.#places = order.map(placeOf);
    this.#others = others;
    this.#limits = limits;
    this.#world = world;
  }

  /** Null: no target can be called now, nor soon enough. */
  first(): Step | null {
    return this.#next();
  }

  /** What follows a step that failed; null: nothing does. */
  after(step: Step, failure: Failure): Step | null {
    const place = this.#placeOf(step);
    switch (failure.remedy) {
      case 'NONE':
        if (!this.isOnlyThis(step, failure)) return null;
        place.isOut = true;
        break;
      case 'OTHER_KEY':
        this.#withoutKey(place, step.key, failure);
        break;
      case 'SAME_TARGET':
        if (this.#limits.triesAgain) this.#later(place, failure.retryAfterMs);
        else place.isOut = true;
        break;
      case 'OTHER_TARGET':
        place.isOut = true;
        break;
      case 'LARGER_MODEL':
        this.#onlyLarger(place);
        break;
    }
    return this.#next();
  }

  /** When the first of its targets may be called, in milliseconds since 1970; Infinity: none of them may. */
  get readyAt(): number {
    return Math.min(...this.#places.map(({ isOut, readyAt }) => (isOut ? Number.POSITIVE_INFINITY : readyAt)));
  }

  get targets(): readonly Target[] {
    return this.#places.map(({ target }) => target);
  }

  /**
   * A step after its wait: its key, or another one, may have been limited meanwhile, by others. Null: nothing can be
   * called soon enough.
   */
  resume(step: Step): Step | null {
    const place = this.#placeOf(step);
    const choice = this.#choose(place);
    const waitMs = Math.max(0, place.readyAt - this.#world.now());
    if (!choice || place.readyAt > this.#latest()) return this.instead(step);
    return { ...step, key: choice.key, waitMs };
  }

  /** What follows a step that cannot be made. */
  instead(step: Step): Step | null {
    this.#placeOf(step).isOut = true;
    this.#steps--;
    return this.#next();
  }

  /**
   * Whether a refusal is about the target more than about the request: one that stands in for another target, which did
   * not refuse it, may not be able to do what that one can. A refusal for the content is one where the route says so.
   */
  isOnlyThis(step: Step, { error, remedy }: Failure): boolean {
    if (remedy !== 'NONE') return false;
    if (error instanceof ContentFilterError) return this.#limits.asksOthersOnRefusal;
    const place = this.#placeOf(step);
    return error instanceof ValidationError && this.#places.some((one) => one !== place && one.isTried);
  }

  #placeOf({ target }: Step): Place {
    const place = this.#places.find((one) => one.target === target);
    if (!place) throw new Error('a step that is not of this plan');
    return place;
  }

  /** Another key of the provider comes before another provider. */
  #withoutKey(place: Place, key: ProviderKey | null, { key: fault, retryAfterMs }: Failure): void {
    place.isTried = false;
    // The key rests already: what is chosen next is another one, or nothing that is ready.
    if (fault === 'LIMITED') this.#later(place, retryAfterMs);
    else if (key) this.#triedKeys.add(key.id);
    else place.isOut = true;
  }

  /** A little longer than was asked for, so that not all who wait come back at once. */
  #behind(askedMs: number): number {
    return Math.round(askedMs + Math.min(LONGEST_SPREAD_MS, askedMs / 4) * this.#world.random());
  }

  #later(place: Place, retryAfterMs: number | null): void {
    place.failures++;
    const waitMs = retryAfterMs ? this.#behind(retryAfterMs) : backoffMs(place.failures, this.#world.random());
    place.readyAt = this.#world.now() + waitMs;
  }

  /** Never the same one, nor any that is not known to be larger. */
  #onlyLarger(place: Place): void {
    const size = place.target.model.contextTokens;
    // Of others, a target may stand for what is planned already, and after a second overflow all of them do.
    const known = new Set(this.#places.map(({ target }) => nameOf(target)));
    for (const other of this.#others()) {
      const name = nameOf(other);
      if (!known.has(name)) this.#places.push(placeOf(other));
      known.add(name);
    }
    for (const one of this.#places) {
      const otherSize = one.target.model.contextTokens;
      const mayBeLarger = size === null || (otherSize !== null && otherSize > size);
      if (one === place || !mayBeLarger) one.isOut = true;
    }
  }

  #next(): Step | null {
    if (this.#steps >= this.#limits.attempts || this.#isOver()) return null;
    for (const place of this.#places) {
      if (place.isTried || place.isOut) continue;
      place.isTried = true;
      const choice = this.#choose(place);
      if (choice?.kind === 'READY') return this.#step(place, choice.key, 0);
    }
    return this.#again();
  }

  /** Timers may be a little early. */
  #isOver(): boolean {
    return this.#limits.deadline !== null && this.#limits.deadline - this.#world.now() < LEAST_TIME_MS;
  }

  /** The one of those that may be called later which is ready first. */
  #again(): Step | null {
    if (!this.#limits.triesAgain && this.#steps > 0) return null;
    const now = this.#world.now();
    const latest = this.#latest();
    const waiting = this.#places.filter(({ isOut }) => !isOut).sort((a, b) => a.readyAt - b.readyAt);
    for (const place of waiting) {
      if (place.readyAt > latest) return null;
      const choice = this.#choose(place);
      if (choice && place.readyAt <= latest) return this.#step(place, choice.key, Math.max(0, place.readyAt - now));
    }
    return null;
  }

  /** Until when it may be waited for a target. */
  #latest(): number {
    const end = this.#limits.deadline ?? Number.POSITIVE_INFINITY;
    return Math.min(this.#world.now() + LONGEST_WAIT_MS, end - LEAST_TIME_MS);
  }

  /** A key for a target; null: there is none. One that rests because its provider asked for it is not ready before. */
  #choose(place: Place): Exclude<KeyChoice, { kind: 'NONE' }> | null {
    const choice = this.#world.chooseKey(place.target.provider, this.#triedKeys);
    if (choice.kind === 'NONE') {
      place.isOut = true;
      return null;
    }
    const isAsked = choice.kind === 'RESTING' && choice.isAsked;
    const now = this.#world.now();
    if (isAsked && choice.until > place.readyAt) place.readyAt = now + this.#behind(choice.until - now);
    return choice;
  }

  #step({ target }: Place, key: ProviderKey | null, waitMs: number): Step {
    this.#steps++;
    return { target, key, number: this.#steps, waitMs };
  }
}

function placeOf(target: Target): Place {
  return { target, failures: 0, readyAt: 0, isTried: false, isOut: false };
}
