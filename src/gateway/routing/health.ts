import type { OwnKeys } from '../admission/caller.ts';
import type { Target } from './candidates.ts';
import { Circuits, type OpenCircuit } from './circuit.ts';
import type { HealthFacts } from './facts.ts';
import { KeyRing } from './keys.ts';
import { LatencyEstimate } from './latency.ts';

/** Estimates change with every answer; decisions see what they were at most this long ago. */
const PUBLISHED_EVERY_MS = 1_000;
const MOST_ESTIMATES = 10_000;

/** How an attempt ended, as far as it says something of its target. */
export type Verdict =
  /** It answered. */
  | 'ANSWERED'
  /** It is at fault: it failed, broke off, or was too slow. */
  | 'FAILED'
  /** It says nothing: the request, the key or the client is why it ended. */
  | 'NEUTRAL';

/** How long an answer took: streams until their first token, others as a whole. Milliseconds. */
export interface Timing {
  isStreamed: boolean;
  ms: number;
}

/** How a target does, for people. */
export interface TargetState {
  circuit: OpenCircuit | null;
  /** Median until the first token of streams; null: too little is known. */
  firstTokenMs: number | null;
  /** Median of answers that are not streamed; null: too little is known. */
  answerMs: number | null;
}

/**
 * How targets do, as this server sees it: circuits, resting keys and latencies, fed by traffic and probes. Kept in
 * memory, and outlives every snapshot.
 */
export class TargetHealth {
  readonly keys: KeyRing;
  readonly #circuits: Circuits;
  readonly #streamed = new Map<string, LatencyEstimate>();
  readonly #whole = new Map<string, LatencyEstimate>();
  #version = 0;
  #isLatencyNew = false;
  #publishedAt = 0;

  /** @param probeIntervalMs how long a circuit stays open until a request may see how its target does */
  constructor(probeIntervalMs: number) {
    const changed = () => {
      this.#version++;
    };
    this.keys = new KeyRing(changed);
    this.#circuits = new Circuits(probeIntervalMs, changed);
  }

  /** Circuits that are open now: of models, and of whole providers. */
  get openCircuits(): number {
    return this.#circuits.open;
  }

  /** Goes up whenever `factsOf` may give something new. */
  version(now: number): number {
    if (this.#isLatencyNew && now - this.#publishedAt >= PUBLISHED_EVERY_MS) {
      this.#isLatencyNew = false;
      this.#publishedAt = now;
      this.#version++;
    }
    return this.#version;
  }

  /**
   * How these targets do, by their places.
   * @param latency whether a strategy goes by it, and for which kind of answer
   */
  factsOf(
    targets: readonly (Target | null)[],
    ownKeys: OwnKeys,
    latency: 'STREAMED' | 'WHOLE' | null,
    now: number,
  ): HealthFacts {
    const resting: Record<number, number> = {};
    const open: Record<number, number> = {};
    const known: Record<number, number> = {};
    for (const [place, target] of targets.entries()) {
      if (target === null) continue;
      const key = targetKey(target);
      // Whether a caller's own key rests is not for decisions that others have in common.
      const until = ownKeys.has(target.provider.id) ? 0 : this.keys.restOfAll(target.provider, now);
      if (until > now) resting[place] = until;
      const openUntil = this.openUntil(target);
      if (openUntil > 0) open[place] = openUntil;
      const ms =
        latency &&
        this.#estimates(latency === 'STREAMED')
          .get(key)
          ?.median(now);
      if (ms) known[place] = ms;
    }
    return {
      ...(isEmpty(resting) ? {} : { resting }),
      ...(isEmpty(open) ? {} : { open }),
      ...(isEmpty(known) ? {} : { latency: known }),
    };
  }

  /** Whether a call may go to a target now; see `Circuits.enter`. */
  enter(target: Target, now: number): 'CLOSED' | 'PROBE' | 'OPEN' {
    const ofProvider = this.#circuits.enter(target.provider.id, now);
    if (ofProvider === 'OPEN') return 'OPEN';
    const ofModel = this.#circuits.enter(targetKey(target), now);
    if (ofModel === 'OPEN') this.#circuits.released(target.provider.id, now);
    return ofModel === 'CLOSED' ? ofProvider : ofModel;
  }

  /** When a target's circuits let somebody through again; 0: they are closed. */
  openUntil(target: Target): number {
    return Math.max(this.#circuits.openUntil(target.provider.id), this.#circuits.openUntil(targetKey(target)));
  }

  /** The probe did not take place. */
  release(target: Target, now: number): void {
    this.#circuits.released(target.provider.id, now);
    this.#circuits.released(targetKey(target), now);
  }

  /** An attempt has ended. `timing` where it was answered. */
  note(target: Target, verdict: Verdict, isProbe: boolean, timing: Timing | null, now: number): void {
    const key = targetKey(target);
    const ofProvider = isProbe && this.#circuits.openUntil(target.provider.id) > 0;
    for (const circuit of ofProvider ? [target.provider.id, key] : [key]) {
      if (verdict === 'ANSWERED') this.#circuits.succeeded(circuit, isProbe, now);
      else if (verdict === 'FAILED') this.#circuits.failed(circuit, isProbe, now);
      else if (isProbe) this.#circuits.ended(circuit);
    }
    if (timing) this.#measure(key, timing, now);
  }

  /** A provider was asked, without a completion, whether it is there. */
  noteProbe(providerId: string, isThere: boolean, now: number): void {
    if (isThere) this.#circuits.close(providerId);
    else this.#circuits.trip(providerId, now);
  }

  stateOf(target: Target, now: number): TargetState {
    const key = targetKey(target);
    return {
      circuit: this.#circuits.stateOf(key) ?? this.#circuits.stateOf(target.provider.id),
      firstTokenMs: this.#streamed.get(key)?.median(now) ?? null,
      answerMs: this.#whole.get(key)?.median(now) ?? null,
    };
  }

  #measure(key: string, { isStreamed, ms }: Timing, now: number): void {
    const estimates = this.#estimates(isStreamed);
    const estimate = estimates.get(key) ?? new LatencyEstimate(now);
    // Deleting first keeps the map in the order of the measurements.
    if (!estimates.delete(key) && estimates.size >= MOST_ESTIMATES)
      estimates.delete(estimates.keys().next().value as string);
    estimates.set(key, estimate);
    estimate.add(ms, now);
    this.#isLatencyNew = true;
  }

  #estimates(isStreamed: boolean): Map<string, LatencyEstimate> {
    return isStreamed ? this.#streamed : this.#whole;
  }
}

/** A target of another route with the same provider and model does alike. */
function targetKey({ provider, model }: Target): string {
  return `${provider.id} ${model.name}`;
}

function isEmpty(record: object): boolean {
  for (const _ in record) return false;
  return true;
}
