import { setNewest } from '../../platform/bounded-map.ts';

/** It opens when the last five calls have failed, or ten of the last twenty. */
const LAST_FIVE = 0b11111;
const LAST_TWENTY = 0xfffff;
const MOST_OF_TWENTY = 10;
/** Calls longer ago than this do not count with the next one. */
const FORGOTTEN_AFTER_MS = 60_000;
/** Of each kind, open and closed; beyond it whoever was called longest ago is forgotten. */
const MOST_CIRCUITS = 10_000;

/** A circuit that is closed, after calls some of which failed. */
interface Closed {
  /** How the last calls ended, a bit each, the newest lowest: 1 for a failure. */
  calls: number;
  /** When the last one ended. */
  calledAt: number;
}

interface Open {
  /** Of the last twenty calls before it opened. */
  failures: number;
  /** When it opened. */
  since: number;
  /** When the next probe may go. */
  until: number;
  /** Probes that are on their way. */
  probes: number;
}

/** A circuit that is not closed. All times in milliseconds since 1970. */
export interface OpenCircuit {
  state: 'OPEN' | 'HALF_OPEN';
  /** Of the last twenty calls before it opened. */
  failures: number;
  since: number;
  /** When the next request may see how it does. */
  probeAt: number;
}

/**
 * Circuit breakers by key: a model of a provider, or a provider. Closed: everything passes. Once too many calls have
 * failed it opens: nothing passes until the interval is over; then one request does (half-open), and closes it if it is
 * answered. The next one may go an interval later, whether that has ended or hangs. So what is down gets at most one
 * request in an interval, however many arrive, and what is back is found within an interval.
 */
export class Circuits {
  readonly #intervalMs: number;
  readonly #changed: () => void;
  readonly #closed = new Map<string, Closed>();
  readonly #open = new Map<string, Open>();

  /**
   * @param intervalMs 0: no circuit opens by itself
   * @param changed called whenever what `openUntil` gives has changed
   */
  constructor(intervalMs: number, changed: () => void) {
    this.#intervalMs = intervalMs;
    this.#changed = changed;
  }

  /** How many are open now. */
  get open(): number {
    return this.#open.size;
  }

  /** How many are open now of those whose key begins like this. */
  openBelow(prefix: string): number {
    let open = 0;
    for (const key of this.#open.keys()) if (key.startsWith(prefix)) open++;
    return open;
  }

  /** When it may be called again, in milliseconds since 1970; 0: the circuit is closed. */
  openUntil(key: string): number {
    return this.#open.get(key)?.until ?? 0;
  }

  /** Null: it is closed. */
  stateOf(key: string): OpenCircuit | null {
    const open = this.#open.get(key);
    if (!open) return null;
    const { failures, since, until, probes } = open;
    return { state: probes > 0 ? 'HALF_OPEN' : 'OPEN', failures, since, probeAt: until };
  }

  /**
   * Whether a call may go there now. `PROBE`: it is the one that shows how it does; its end must be told by `succeeded`,
   * `failed`, `ended` or `released`.
   */
  enter(key: string, now: number): 'CLOSED' | 'PROBE' | 'OPEN' {
    const open = this.#open.get(key);
    if (!open) return 'CLOSED';
    if (open.until > now) return 'OPEN';
    open.until = now + this.#intervalMs;
    open.probes++;
    this.#changed();
    return 'PROBE';
  }

  /** @param isProbe a call that began before the circuit opened does not close it */
  succeeded(key: string, isProbe: boolean, now: number): void {
    if (isProbe) this.close(key);
    const closed = this.#closed.get(key);
    if (closed && note(closed, 0, now) === 0) this.#closed.delete(key);
  }

  /** @param isProbe it is the end of a probe */
  failed(key: string, isProbe: boolean, now: number): void {
    if (this.#intervalMs === 0) return;
    if (isProbe) this.ended(key);
    if (this.#open.has(key)) return;
    const closed = this.#closed.get(key) ?? { calls: 0, calledAt: now };
    const calls = note(closed, 1, now);
    if (!isTooMuch(calls)) {
      setNewest(this.#closed, key, closed, MOST_CIRCUITS);
      return;
    }
    this.#closed.delete(key);
    this.#add(key, { failures: countOnes(calls), since: now, until: now + this.#intervalMs });
  }

  /** A probe has ended without saying anything. */
  ended(key: string): void {
    const open = this.#open.get(key);
    if (open && open.probes > 0) open.probes--;
  }

  /** The probe was not made: the next request may be it. */
  released(key: string, now: number): void {
    const open = this.#open.get(key);
    if (!open || open.probes === 0) return;
    open.probes--;
    open.until = now;
    this.#changed();
  }

  /** Opens it, whatever came before, also where none opens by itself; one that is open stays as it is. */
  trip(key: string, forMs: number, now: number): void {
    if (forMs === 0 || this.#open.has(key)) return;
    this.#closed.delete(key);
    this.#add(key, { failures: 1, since: now, until: now + forMs });
  }

  /** Closes it. */
  close(key: string): void {
    this.#closed.delete(key);
    if (this.#open.delete(key)) this.#changed();
  }

  #add(key: string, open: Omit<Open, 'probes'>): void {
    setNewest(this.#open, key, { ...open, probes: 0 }, MOST_CIRCUITS);
    this.#changed();
  }
}

function note(closed: Closed, failure: 0 | 1, now: number): number {
  const before = now - closed.calledAt > FORGOTTEN_AFTER_MS ? 0 : closed.calls << 1;
  closed.calls = (before | failure) & LAST_TWENTY;
  closed.calledAt = now;
  return closed.calls;
}

function isTooMuch(calls: number): boolean {
  return (calls & LAST_FIVE) === LAST_FIVE || countOnes(calls) >= MOST_OF_TWENTY;
}

function countOnes(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
