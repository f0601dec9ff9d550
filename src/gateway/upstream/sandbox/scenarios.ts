import type { Controls } from './controls.ts';

interface Scenario {
  requests: number;
  /** Of its first request, on the clock of `performance.now()`. */
  startedAt: number;
}

const MOST_SCENARIOS = 1_000;

/** Counts the requests whose fault is limited, so that it happens to the first of them and not to the others. */
export class Scenarios {
  /** The least recently used comes first. */
  readonly #byName = new Map<string, Scenario>();

  /**
   * Counts a request, if its controls limit its fault.
   * @param asked the model's name, whose requests count together where the controls name no scenario
   * @param now milliseconds, of a clock that never goes back
   * @returns whether its fault happens
   */
  happens({ times, forMs, scenario }: Controls, asked: string, now = performance.now()): boolean {
    if (times === undefined && forMs === undefined) return true;
    const { requests, startedAt } = this.#count(scenario ?? `of model ${asked}`, now);
    return requests <= (times ?? Infinity) && now - startedAt < (forMs ?? Infinity);
  }

  #count(name: string, now: number): Scenario {
    const found = this.#byName.get(name) ?? { requests: 0, startedAt: now };
    found.requests++;
    this.#byName.delete(name);
    this.#byName.set(name, found);
    const [oldest] = this.#byName.keys();
    if (this.#byName.size > MOST_SCENARIOS && oldest !== undefined) this.#byName.delete(oldest);
    return found;
  }
}
