/** It opens when the last five calls have failed, or ten of the last twenty. */
const LAST_FIVE = 0b11111;
const LAST_TWENTY = 0xfffff;
const MOST_OF_TWENTY = 10;
/** Calls longer ago than this do not count with the next one. */
const FORGOTTEN_AFTER_MS = 60_000;
/** Beyond it whoever was called longest ago is forgotten. */
const MOST_CIRCUITS = 10_000;

interface State {
  /** How the last calls ended, a bit each, the newest lowest: 1 for a failure. */
  calls: number;
  /** When the last one ended. */
  calledAt: number;
  /** When the next probe may go; null: it is closed. */
  openUntil: number | null;
  /** Probes that are on their way. */
  probes: number;
  /** When it opened. */
  since: number;
}

/** A circuit that is not closed. All times in milliseconds since 1970. */
export interface OpenCircuit {
  state: 'OPEN' | 'HALF_OPEN';
  /** Of the last twenty calls before it. */
  failures: number;
  since: number;
  /** When the next request may see how it does. */
  probeAt: number;
}

/**
 * A circuit breaker for each target (a model of a provider). Closed: everything passes. Once too many calls have failed
 * it opens: nothing passes until the interval is over; then one request does (half-open), and closes it if it is
 * answered. The next one may go an interval later, whether that has ended or hangs. So a target that is down gets at most
 * one request in an interval, however many arrive, and one that is back is found within an interval.
 */
export class Circuits {
  readonly #intervalMs: number;
  readonly #changed: () => void;
  readonly #states = new Map<string, State>();

  /**
   * @param intervalMs 0: no circuit ever opens
   * @param changed called whenever what `openUntil` gives has changed
   */
  constructor(intervalMs: number, changed: () => void) {
    this.#intervalMs = intervalMs;
    this.#changed = changed;
  }

  /** When the target may be called again, in milliseconds since 1970; 0: the circuit is closed. */
  openUntil(key: string): number {
    return this.#states.get(key)?.openUntil ?? 0;
  }

  /** How many are open now. */
  get open(): number {
    let open = 0;
    for (const { openUntil } of this.#states.values()) if (openUntil !== null) open++;
    return open;
  }

  /** Null: it is closed. */
  stateOf(key: string): OpenCircuit | null {
    const state = this.#states.get(key);
    if (!state || state.openUntil === null) return null;
    const { calls, since, openUntil, probes } = state;
    return { state: probes > 0 ? 'HALF_OPEN' : 'OPEN', failures: countOnes(calls), since, probeAt: openUntil };
  }

  /**
   * Whether a call may go to the target now. `PROBE`: it is the one that shows how the target does; its end must be told
   * by `succeeded`, `failed`, `ended` or `released`.
   */
  enter(key: string, now: number): 'CLOSED' | 'PROBE' | 'OPEN' {
    const state = this.#states.get(key);
    if (!state || state.openUntil === null) return 'CLOSED';
    if (state.openUntil > now) return 'OPEN';
    state.openUntil = now + this.#intervalMs;
    state.probes++;
    this.#changed();
    return 'PROBE';
  }

  /** @param isProbe a call that began before the circuit opened does not close it */
  succeeded(key: string, isProbe: boolean, now: number): void {
    const state = this.#states.get(key);
    if (!state || (state.openUntil !== null && !isProbe)) return;
    note(state, 0, now);
    if (!isProbe && state.calls !== 0) return;
    this.#states.delete(key);
    if (isProbe) this.#changed();
  }

  /** @param isProbe a call that began before the circuit opened says nothing new */
  failed(key: string, isProbe: boolean, now: number): void {
    if (this.#intervalMs === 0) return;
    const known = this.#states.get(key);
    const state = known ?? { calls: 0, calledAt: now, openUntil: null, probes: 0, since: now };
    if (isProbe) this.ended(key);
    note(state, 1, now);
    // Deleting first keeps the map in the order of the failures.
    if (known) this.#states.delete(key);
    else if (this.#states.size >= MOST_CIRCUITS) this.#forgetOldest();
    this.#states.set(key, state);
    if (state.openUntil !== null || !isTooMuch(state.calls)) return;
    state.since = now;
    state.openUntil = now + this.#intervalMs;
    this.#changed();
  }

  /** A probe has ended without saying anything of the target. */
  ended(key: string): void {
    const state = this.#states.get(key);
    if (state && state.probes > 0) state.probes--;
  }

  /** Opens it for an interval, whatever came before. */
  trip(key: string, now: number): void {
    if (this.#intervalMs === 0) return;
    const state = this.#states.get(key);
    this.#states.delete(key);
    if (this.#states.size >= MOST_CIRCUITS) this.#forgetOldest();
    const since = state?.openUntil ? state.since : now;
    const openUntil = Math.max(state?.openUntil ?? 0, now + this.#intervalMs);
    this.#states.set(key, { calls: LAST_FIVE, calledAt: now, openUntil, probes: state?.probes ?? 0, since });
    this.#changed();
  }

  /** Closes it. */
  close(key: string): void {
    if (this.#states.delete(key)) this.#changed();
  }

  /** The probe was not made: the next request may be it. */
  released(key: string, now: number): void {
    const state = this.#states.get(key);
    if (!state || state.openUntil === null || state.probes === 0) return;
    state.probes--;
    state.openUntil = now;
    this.#changed();
  }

  #forgetOldest(): void {
    for (const key of this.#states.keys()) {
      this.#states.delete(key);
      return;
    }
  }
}

function note(state: State, failure: 0 | 1, now: number): void {
  const isForgotten = state.openUntil === null && now - state.calledAt > FORGOTTEN_AFTER_MS;
  state.calls = ((isForgotten ? 0 : state.calls << 1) | failure) & LAST_TWENTY;
  state.calledAt = now;
}

function isTooMuch(calls: number): boolean {
  return (calls & LAST_FIVE) === LAST_FIVE || countOnes(calls) >= MOST_OF_TWENTY;
}

function countOnes(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
