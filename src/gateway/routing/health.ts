import { setNewest } from '../../platform/bounded-map.ts';
import type { OwnKeys } from '../admission/caller.ts';
import { nameOf, type Target } from './candidates.ts';
import { Circuits, type OpenCircuit } from './circuit.ts';
import type { Candidate, HealthFacts } from './facts.ts';
import { KeyRing } from './keys.ts';
import { LatencyEstimate } from './latency.ts';

/** Estimates change with every answer; decisions see what they were at most this long ago. */
const PUBLISHED_EVERY_MS = 1_000;
const MOST_ESTIMATES = 10_000;
/** A provider that asks to be left alone for longer is asked again all the same. */
const LONGEST_LEFT_ALONE_MS = 10 * 60_000;

export const ANSWER_KINDS = ['STREAM', 'WHOLE', 'EMBEDDINGS'] as const;

/** What is asked for. A model that cannot embed may chat, and a stream is measured by its first token. */
export type AnswerKind = (typeof ANSWER_KINDS)[number];

/** How an attempt ended, as far as it says something of its target. */
export type Verdict =
  /** It answered. */
  | 'ANSWERED'
  /** It is at fault: it failed, broke off, or was too slow. */
  | 'FAILED'
  /** It says nothing: the request, the key or the client is why it ended. */
  | 'NEUTRAL';

/** Whether a call may go to a target now. */
export interface Entry {
  isOpen: boolean;
  /** The circuits that the call was let through, to see how the target does; mostly none. */
  claims: readonly string[];
}

/** How a target does, for people. */
export interface TargetState {
  circuit: OpenCircuit | null;
  /** Median until the first token of streams; null: too little is known. */
  firstTokenMs: number | null;
  /** Median of answers that are not streamed; null: too little is known. */
  answerMs: number | null;
}

const CLOSED: Entry = { isOpen: false, claims: [] };
const OPEN: Entry = { isOpen: true, claims: [] };

/**
 * How targets do, as this server sees it: circuits, resting keys and latencies, fed by traffic and probes. Kept in
 * memory, and outlives every snapshot.
 */
export class TargetHealth {
  readonly keys: KeyRing;
  readonly #circuits: Circuits;
  readonly #estimates: Record<AnswerKind, Map<string, LatencyEstimate>>;
  readonly #probeIntervalMs: number;
  #version = 0;
  #isLatencyNew = false;
  #publishedAt = 0;

  /** @param probeIntervalMs how long a circuit stays open until a request may see how its target does */
  constructor(probeIntervalMs: number) {
    this.#probeIntervalMs = probeIntervalMs;
    const changed = () => {
      this.#version++;
    };
    this.keys = new KeyRing(changed);
    this.#circuits = new Circuits(probeIntervalMs, changed);
    this.#estimates = { STREAM: new Map(), WHOLE: new Map(), EMBEDDINGS: new Map() };
  }

  /** Circuits that are open now: of models, and of whole providers. */
  get openCircuits(): number {
    return this.#circuits.open;
  }

  /**
   * Goes up whenever `factsOf` may give something new.
   * @param usesLatency whether it is asked for latencies
   */
  version(usesLatency: boolean, now: number): number {
    if (!usesLatency) return this.#version;
    if (this.#isLatencyNew && now - this.#publishedAt >= PUBLISHED_EVERY_MS) {
      this.#isLatencyNew = false;
      this.#publishedAt = now;
      this.#version++;
    }
    return this.#version;
  }

  /**
   * How candidates do.
   * @param targets where each of them sends; null: nowhere
   * @param usesLatency whether a strategy goes by it
   */
  factsOf(
    candidates: readonly Candidate[],
    targets: readonly (Target | null)[],
    ownKeys: OwnKeys,
    kind: AnswerKind,
    usesLatency: boolean,
    now: number,
  ): HealthFacts {
    if (this.#circuits.open === 0 && this.keys.resting === 0 && !usesLatency) return {};
    const resting: Record<number, number> = {};
    const open: Record<number, number> = {};
    const latency: Record<number, number> = {};
    let last = -1;
    for (const [place, target] of targets.entries()) {
      if (target === null) continue;
      const { targetPlace } = candidates[place] as Candidate;
      // Whether a caller's own key rests is not for decisions that others have in common.
      if (targetPlace !== last && !ownKeys.has(target.provider.id)) {
        const until = this.keys.restOfAll(target.provider, now);
        if (until > now) resting[targetPlace] = until;
      }
      last = targetPlace;
      const until = this.openUntil(target, kind);
      if (until > 0) open[place] = until;
      const ms = usesLatency ? this.#estimates[kind].get(modelKey(target, kind))?.median(now) : null;
      if (ms) latency[place] = ms;
    }
    return {
      ...(isEmpty(resting) ? {} : { resting }),
      ...(isEmpty(open) ? {} : { open }),
      ...(isEmpty(latency) ? {} : { latency }),
    };
  }

  /** Whether a call may go to a target now; see `Circuits.enter`. */
  enter(target: Target, kind: AnswerKind, now: number): Entry {
    if (this.#circuits.open === 0) return CLOSED;
    const claims: string[] = [];
    for (const key of [target.provider.id, modelKey(target, kind)]) {
      const entry = this.#circuits.enter(key, now);
      if (entry === 'PROBE') claims.push(key);
      if (entry !== 'OPEN') continue;
      this.release(claims, now);
      return OPEN;
    }
    return claims.length === 0 ? CLOSED : { isOpen: false, claims };
  }

  /** When a target's circuits let somebody through again; 0: they are closed. */
  openUntil(target: Target, kind: AnswerKind): number {
    if (this.#circuits.open === 0) return 0;
    const ofModel = this.#circuits.openUntil(modelKey(target, kind));
    return Math.max(this.#circuits.openUntil(target.provider.id), ofModel);
  }

  /** The call that was let through was not made. */
  release(claims: readonly string[], now: number): void {
    for (const key of claims) this.#circuits.released(key, now);
  }

  /**
   * What a call shows of its target: at its end, or, when it is answered, with its first token.
   * @param claims what `enter` let it through
   */
  note(target: Target, kind: AnswerKind, verdict: Verdict, claims: readonly string[], now: number): void {
    const own = modelKey(target, kind);
    for (const key of claims) {
      if (verdict === 'ANSWERED') this.#circuits.succeeded(key, true, now);
      else if (verdict === 'FAILED') this.#circuits.failed(key, true, now);
      else this.#circuits.ended(key);
    }
    if (claims.includes(own)) return;
    if (verdict === 'ANSWERED') this.#circuits.succeeded(own, false, now);
    else if (verdict === 'FAILED') this.#fail(target.provider.id, own, now);
  }

  /** With a second of its models a provider is left alone as a whole: it may have hundreds, which fail one by one. */
  #fail(providerId: string, key: string, now: number): void {
    const wasOpen = this.#circuits.openUntil(key) > 0;
    this.#circuits.failed(key, false, now);
    if (wasOpen || this.#circuits.openUntil(key) === 0) return;
    if (this.#circuits.openBelow(`${providerId} `) > 1) this.#circuits.trip(providerId, this.#probeIntervalMs, now);
  }

  /** How long an answer took: a stream until its first token, any other as a whole. Milliseconds. */
  measure(target: Target, kind: AnswerKind, ms: number, now: number): void {
    const estimates = this.#estimates[kind];
    const key = modelKey(target, kind);
    const estimate = estimates.get(key) ?? new LatencyEstimate(now);
    setNewest(estimates, key, estimate, MOST_ESTIMATES);
    estimate.add(ms, now);
    this.#isLatencyNew = true;
  }

  /** A target that failed asked to be left alone for so long. */
  leaveAlone(target: Target, kind: AnswerKind, forMs: number, now: number): void {
    this.#circuits.trip(modelKey(target, kind), Math.min(forMs, LONGEST_LEFT_ALONE_MS), now);
  }

  /** Somebody made sure that a target answers, past all routing. */
  answers(target: Target, kind: AnswerKind): void {
    this.#circuits.close(target.provider.id);
    this.#circuits.close(modelKey(target, kind));
  }

  /** A provider was asked, without a completion, whether it is there. */
  noteProbe(providerId: string, isThere: boolean, now: number): void {
    if (isThere) this.#circuits.close(providerId);
    else this.#circuits.trip(providerId, this.#probeIntervalMs, now);
  }

  stateOf(target: Target, now: number): TargetState {
    const key = modelKey(target, 'WHOLE');
    return {
      circuit: this.#circuits.stateOf(key) ?? this.#circuits.stateOf(target.provider.id),
      firstTokenMs: this.#estimates.STREAM.get(key)?.median(now) ?? null,
      answerMs: this.#estimates.WHOLE.get(key)?.median(now) ?? null,
    };
  }
}

function modelKey(target: Target, kind: AnswerKind): string {
  return kind === 'EMBEDDINGS' ? `embed ${nameOf(target)}` : nameOf(target);
}

function isEmpty(record: object): boolean {
  for (const _ in record) return false;
  return true;
}
