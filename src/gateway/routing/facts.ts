import { createHash } from 'node:crypto';
import type { ModelStrategy, RouteMode, RouteStrategy, ScoreWeights } from '../snapshot/snapshot.ts';
import type { RoutingFact } from './decision.ts';

/** Why a model takes no part in a decision. */
export type Exclusion =
  /** Its provider is gone, switched off, or lacks a key or an address. */
  | 'PROVIDER_UNUSABLE'
  /** It is switched off, or its provider does not have it. */
  | 'MODEL_UNUSABLE'
  /** Its target has weight 0. */
  | 'NO_WEIGHT'
  /** Its price is not at the power level that was asked for. */
  | 'OTHER_POWER_LEVEL';

export type Tries =
  /** One after the other, before the next target is: those that it names. */
  | 'EACH'
  /** Its best one; the others once every target was tried: what fails mostly fails for the whole provider. */
  | 'BEST_FIRST'
  /** Its best one alone. */
  | 'BEST';

export interface ModelFacts {
  name: string;
  /** USD for a million tokens, three parts input and one part output; null: unknown. */
  price: number | null;
  /** 0 to 100; null: unknown. */
  quality: number | null;
  contextTokens: number | null;
  excluded: Exclusion | null;
}

export interface TargetFacts {
  /** The route's target; null: it stands for a provider that the route does not name. */
  id: string | null;
  /** Slug. */
  provider: string;
  priority: number;
  weight: number;
  strategy: ModelStrategy;
  /** Place of its provider's region among the preferred ones; all that are not preferred have the last one. */
  region: number;
  /** Which of its models are tried. */
  tries: Tries;
  /** The slots of sticky keys that are its own, as ranges: from, to (exclusive), from, to … Empty: nothing is sticky. */
  slots: readonly number[];
  models: readonly ModelFacts[];
}

/** Targets among which one strategy picks: those of a route, or of a fallback. */
export interface Section {
  /** The fallback's name; null: it is what the client asked for. */
  fallback: string | null;
  mode: RouteMode;
  strategy: RouteStrategy;
  weights: ScoreWeights | null;
  targets: readonly TargetFacts[];
}

/** Everything that is configured about a decision. Its JSON is a fact of the ledger. */
export interface CandidateFacts {
  route: { id: string; version: number } | null;
  /** How many upstream calls there are at most. */
  attempts: number;
  sections: readonly Section[];
}

/**
 * How the candidates do at a moment. Only what is out of the ordinary is said, so that the health of most decisions is one
 * and the same fact. Times in milliseconds since 1970.
 */
export interface HealthFacts {
  /** Until when all keys of a target's provider rest, by the target's place among the targets. */
  resting?: Record<number, number>;
  /** Until when the circuit lets nobody through, by the candidate's place. */
  open?: Record<number, number>;
  /** The live median in milliseconds, by the candidate's place; absent: not known, or no strategy goes by it. */
  latency?: Record<number, number>;
}

/** A candidate: one model of one target. Its place is its position in this order, through all sections. */
export interface Candidate {
  place: number;
  section: number;
  target: TargetFacts;
  /** The place of its target among all targets, through all sections. */
  targetPlace: number;
  model: ModelFacts;
  /** The first place with the same provider and model: what is tried there need not be tried here. */
  twin: number;
}

/** All candidates, in the order of their places. */
export function candidatesIn({ sections }: CandidateFacts): Candidate[] {
  const candidates: Candidate[] = [];
  const first = new Map<string, number>();
  let targetPlace = -1;
  for (const [section, { targets }] of sections.entries()) {
    for (const target of targets) {
      targetPlace++;
      for (const model of target.models) {
        const place = candidates.length;
        const name = `${target.provider}/${model.name}`;
        const twin = first.get(name) ?? place;
        first.set(name, twin);
        candidates.push({ place, section, target, targetPlace, model, twin });
      }
    }
  }
  return candidates;
}

/** Names a value by its content; the same content is the same fact on every server. */
export function factOf(content: CandidateFacts | HealthFacts): RoutingFact {
  const hash = createHash('sha256').update(JSON.stringify(content)).digest('base64url');
  return { id: hash.slice(0, 22), content };
}
