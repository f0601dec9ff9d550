import type { Decision } from './decision.ts';
import type { Candidate, CandidateFacts, Exclusion, HealthFacts } from './facts.ts';
import { type Field, fieldOf, openUntil, type Picked, type PickInputs, pick, restingUntil } from './pick.ts';

/** What a decision made of one candidate. Times in milliseconds since 1970. */
export interface ExplainedCandidate {
  /** The route's target; null: it stands for a provider that the route does not name. */
  targetId: string | null;
  /** Slug. */
  provider: string;
  model: string;
  /** The fallback it belongs to; null: it belongs to what was asked for. */
  fallback: string | null;
  /** From 1, in the order of the plan; null: it is not planned. */
  position: number | null;
  /** 0 to 100; null: no strategy scored it. */
  score: number | null;
  /** USD for a million tokens, three parts input and one part output. */
  price: number | null;
  latencyMs: number | null;
  quality: number | null;
  /** Until when all keys of its provider rest; null: they do not. */
  restingUntil: number | null;
  isCircuitOpen: boolean;
  /** Why it was, or was not, picked: a sentence. */
  reason: string;
}

/** A decision with all that it was made from. */
export interface Explanation {
  decision: Decision;
  /** In the order of the configuration. */
  candidates: readonly ExplainedCandidate[];
}

/** @param picked what `pick` made of the field and the inputs */
export function explain(field: Field, inputs: PickInputs, picked: Picked, decision: Decision): Explanation {
  const positions = new Map(decision.plan.map((place, index) => [place, index + 1]));
  const ordered = new Set(picked.order);
  const candidates = field.candidates.map((candidate): ExplainedCandidate => {
    const { place, section, target, model } = candidate;
    const resting = restingUntil(field, candidate);
    const position = positions.get(place) ?? null;
    return {
      targetId: target.id,
      provider: target.provider,
      model: model.name,
      fallback: field.facts.sections[section]?.fallback ?? null,
      position,
      score: picked.scores.get(place) ?? null,
      price: model.price,
      latencyMs: field.health.latency?.[place] ?? null,
      quality: model.quality,
      restingUntil: resting > inputs.at ? resting : null,
      isCircuitOpen: openUntil(field, candidate) > inputs.at,
      reason: reasonOf(candidate, field, inputs, picked, position, ordered.has(place)),
    };
  });
  return { decision, candidates };
}

/** A decision that was made again from what is on record of it. */
export interface Replay extends Explanation {
  /** The same plan came out. */
  isReproduced: boolean;
}

/** Makes a recorded decision again. */
export function replay(decision: Decision, candidates: CandidateFacts, health: HealthFacts): Replay {
  const field = fieldOf(candidates, health);
  const picked = pick(field, decision);
  const plan = picked.order.slice(0, candidates.attempts);
  const isReproduced = plan.length === decision.plan.length && plan.every((place, at) => place === decision.plan[at]);
  return { ...explain(field, decision, picked, decision), isReproduced };
}

const EXCLUDED: Record<Exclusion, string> = {
  PROVIDER_UNUSABLE: 'Its provider is gone, switched off, or lacks a key.',
  MODEL_UNUSABLE: 'The model is switched off, or its provider does not have it.',
  NO_WEIGHT: 'Its weight is 0.',
  OTHER_POWER_LEVEL: 'Its price is not at the power level that was asked for.',
};

function reasonOf(
  candidate: Candidate,
  field: Field,
  inputs: PickInputs,
  picked: Picked,
  position: number | null,
  isOrdered: boolean,
): string {
  const { place, section, target, model, twin } = candidate;
  const { facts, candidates } = field;
  if (model.excluded) return EXCLUDED[model.excluded];
  if (openUntil(field, candidate) > inputs.at) {
    const why = 'Its circuit is open: it failed again and again';
    return position === null ? `${why}.` : `${why}, so it comes last: number ${position} of the plan.`;
  }
  const rests = restingUntil(field, candidate) > inputs.at;
  if (position === 1)
    return rests
      ? 'All that could be called rest, this one for the shortest time.'
      : picksOf(place, field, inputs, picked);
  if (position !== null) {
    const why = rests ? 'All keys of its provider rest, so it comes after the others' : 'It stands in';
    return `${why}: number ${position} of the plan.`;
  }
  if (isOrdered) return `The plan ends after ${facts.attempts} calls.`;
  if (picked.order.some((other) => other !== place && candidates[other]?.twin === twin))
    return 'The same model of the same provider is in the plan already.';
  if (facts.sections[section]?.fallback) return 'It belongs to a fallback, and the plan was full before it.';
  const isOutdone = target.tries !== 'EACH' && picked.order.some((other) => candidates[other]?.target === target);
  return isOutdone ? 'Another model of its target was better.' : `The plan ends after ${facts.attempts} calls.`;
}

/** Why the first one is the first. */
function picksOf(place: number, { facts, candidates }: Field, { turn, slot }: PickInputs, picked: Picked): string {
  if (picked.explored === place) return 'How fast it is, is not known: it gets a share of the requests until it is.';
  const candidate = candidates[place] as Candidate;
  const section = facts.sections[candidate.section];
  const score = picked.scores.get(place)?.toFixed(1);
  if (section?.fallback) return `Nothing of the route can be called, so its fallback "${section.fallback}" is.`;
  switch (section?.strategy) {
    case 'ROUND_ROBIN':
      return `It is its turn (pick ${(turn ?? 0) + 1}).`;
    case 'WEIGHTED':
      return slot === null
        ? `It is its share by weight (pick ${(turn ?? 0) + 1}).`
        : `It owns slot ${slot} of the sticky keys, or stands in for who does.`;
    case 'COST':
      return `It is the cheapest (score ${score}).`;
    case 'LATENCY':
      return `It is the fastest (score ${score}).`;
    case 'BALANCED':
    case 'CUSTOM':
      return `It has the best score (${score}).`;
    default:
      return 'It is the first that can be called.';
  }
}
