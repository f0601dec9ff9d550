import type { Decision } from './decision.ts';
import {
  type Candidate,
  type CandidateFacts,
  candidatesIn,
  type HealthFacts,
  type Section,
  type TargetFacts,
} from './facts.ts';
import { type Contender, rank } from './rank.ts';

/** Stand-ins beyond the planned calls, for targets that turn out not to be callable. */
const SPARE = 8;

/** A decision's candidates and their health, ready to be picked from. */
export interface Field {
  facts: CandidateFacts;
  candidates: readonly Candidate[];
  health: HealthFacts;
  /** What each candidate competes with. */
  contenders: readonly Contender[];
}

/** What a pick goes by besides its field; the rest of a `Decision`. */
export type PickInputs = Pick<Decision, 'at' | 'turn' | 'slot' | 'modelTurns'>;

export interface Picked {
  /**
   * Places in the order in which they are tried, each provider and model once; at least as many as there are attempts,
   * if there are as many. Those that rest come last in their section; those whose circuit is open last of all, in case
   * that it closes before it is their turn.
   */
  order: number[];
  /** By place, 0 to 100; absent: no strategy gave it one. */
  scores: Map<number, number>;
  /** The place that comes first to find out how fast it is; null: none does. */
  explored: number | null;
}

/** A target that has models which can be used. */
interface UsableTarget {
  facts: TargetFacts;
  /** Their places, the best one first. */
  models: readonly number[];
  restingUntil: number;
  /** What it competes with: its best model. */
  contender: Contender;
}

export function fieldOf(
  facts: CandidateFacts,
  health: HealthFacts,
  candidates: readonly Candidate[] = candidatesIn(facts),
): Field {
  return { facts, candidates, health, contenders: contendersAmong(candidates, health) };
}

/** Without latencies they are the same for every health. */
const withoutLatency = new WeakMap<readonly Candidate[], readonly Contender[]>();

function contendersAmong(candidates: readonly Candidate[], { latency }: HealthFacts): readonly Contender[] {
  const known = latency ? undefined : withoutLatency.get(candidates);
  if (known) return known;
  const contenders = candidates.map(({ place, target, model: { price, quality } }): Contender => {
    const { weight, slots } = target;
    return { place, price, quality, latency: latency?.[place] ?? null, weight, slots };
  });
  if (!latency) withoutLatency.set(candidates, contenders);
  return contenders;
}

/** Until when the circuit of a candidate lets nobody through; 0: it is closed. */
export function openUntil({ health }: Field, { place }: Candidate): number {
  return health.open?.[place] ?? 0;
}

/** Until when all keys of a candidate's provider rest; 0: they do not. */
export function restingUntil({ health }: Field, { targetPlace }: Candidate): number {
  return health.resting?.[targetPlace] ?? 0;
}

/**
 * Picks: a pure function of its arguments, so that a decision can be explained by making it again. It reads no clock
 * and draws no lots.
 */
export function pick(field: Field, inputs: PickInputs): Picked {
  const picked: Picked = { order: [], scores: new Map(), explored: null };
  const taken = new Set<number>();
  let place = 0;
  let target = 0;
  for (const section of field.facts.sections) {
    if (picked.order.length < field.facts.attempts) {
      const usable = usableTargets(field, section, { place, target }, inputs, picked);
      const ordered = inOrder(section, usable, inputs, picked);
      take(field, ordered, picked, taken);
    }
    target += section.targets.length;
    for (const { models } of section.targets) place += models.length;
  }
  takeOpen(field, inputs, picked, taken);
  return picked;
}

function usableTargets(
  field: Field,
  section: Section,
  from: { place: number; target: number },
  inputs: PickInputs,
  picked: Picked,
): UsableTarget[] {
  const usable: UsableTarget[] = [];
  let place = from.place;
  for (const [index, facts] of section.targets.entries()) {
    const contenders = contendersOf(field, facts, place, inputs.at);
    place += facts.models.length;
    if (contenders.length === 0) continue;
    const ranked =
      contenders.length === 1 ? contenders : rankModels(facts, contenders, inputs, from.target + index, picked);
    const contender = ranked[0] as Contender;
    const until = restingUntil(field, field.candidates[contender.place] as Candidate);
    usable.push({ facts, models: ranked.map((one) => one.place), restingUntil: until, contender });
  }
  return usable;
}

function rankModels(
  { strategy }: TargetFacts,
  contenders: readonly Contender[],
  { modelTurns }: PickInputs,
  target: number,
  picked: Picked,
): readonly Contender[] {
  const { ranked, scores } = rank(strategy, null, contenders, { turn: modelTurns?.[target] ?? 0, slot: null });
  if (scores) keepScores(contenders, scores, picked);
  return ranked;
}

/** The models of a target that can be used now. */
function contendersOf(field: Field, target: TargetFacts, from: number, now: number): Contender[] {
  const { facts, candidates } = field;
  const contenders: Contender[] = [];
  // Of those that come in their order, no more than can be tried are looked at: a provider may have hundreds.
  const most = target.strategy === 'FAILOVER' ? facts.attempts + SPARE : Number.POSITIVE_INFINITY;
  for (let place = from; place < from + target.models.length && contenders.length < most; place++) {
    const candidate = candidates[place] as Candidate;
    if (candidate.model.excluded !== null || openUntil(field, candidate) > now) continue;
    contenders.push(field.contenders[place] as Contender);
  }
  return contenders;
}

/** Those that do not rest, group by group; then those that do, the one that rests shortest first. */
function inOrder(section: Section, usable: readonly UsableTarget[], inputs: PickInputs, picked: Picked) {
  const counter = { turn: inputs.turn ?? 0, slot: inputs.slot };
  const byPlace: UsableTarget[] = [];
  const ready: UsableTarget[] = [];
  const resting: UsableTarget[] = [];
  for (const target of usable) {
    byPlace[target.contender.place] = target;
    (target.restingUntil <= inputs.at ? ready : resting).push(target);
  }
  const ordered: UsableTarget[] = [];
  for (const group of groupsOf(section, ready)) {
    const contenders = group.map(({ contender }) => contender);
    const { ranked, scores, isExploring } = rank(section.strategy, section.weights, contenders, counter);
    if (scores) keepScores(contenders, scores, picked);
    if (isExploring && picked.order.length + ordered.length === 0) picked.explored = ranked[0]?.place ?? null;
    for (const { place } of ranked) ordered.push(byPlace[place] as UsableTarget);
  }
  return ordered.concat(resting.sort((a, b) => a.restingUntil - b.restingUntil));
}

/** Targets in the best of the preferred regions come first; under MULTI, then those of the best priority. */
function groupsOf(section: Section, usable: readonly UsableTarget[]): readonly (readonly UsableTarget[])[] {
  const isGrouped = section.mode === 'MULTI' || usable.some(({ facts }) => facts.region !== usable[0]?.facts.region);
  if (!isGrouped) return [usable];
  const groups = new Map<string, UsableTarget[]>();
  const rankOf = ({ region, priority }: TargetFacts) => [region, section.mode === 'MULTI' ? priority : 0] as const;
  const sorted = [...usable].sort((a, b) => {
    const [regionA, priorityA] = rankOf(a.facts);
    const [regionB, priorityB] = rankOf(b.facts);
    return regionA - regionB || priorityA - priorityB;
  });
  for (const target of sorted) {
    const key = rankOf(target.facts).join();
    const group = groups.get(key);
    if (group) group.push(target);
    else groups.set(key, [target]);
  }
  return [...groups.values()];
}

/** Takes the models of the targets into the plan, as `Tries` says. */
function take(
  { candidates, facts }: Field,
  ordered: readonly UsableTarget[],
  { order }: Picked,
  taken: Set<number>,
): void {
  const most = facts.attempts + SPARE;
  const takeOne = (place: number) => {
    const { twin } = candidates[place] as Candidate;
    if (order.length >= most || taken.has(twin)) return;
    taken.add(twin);
    order.push(place);
  };
  for (const { facts: target, models } of ordered) {
    if (target.tries === 'EACH') for (const place of models) takeOne(place);
    else takeOne(models[0] as number);
    if (order.length >= most) return;
  }
  for (const { facts: target, models } of ordered) {
    if (target.tries !== 'BEST_FIRST') continue;
    for (let index = 1; index < models.length && order.length < facts.attempts; index++)
      takeOne(models[index] as number);
  }
}

/** Those whose circuit is open, the one that closes first before the others. */
function takeOpen(field: Field, { at }: PickInputs, { order }: Picked, taken: Set<number>): void {
  const { facts, candidates, health } = field;
  if (order.length >= facts.attempts || !health.open) return;
  const open = candidates.filter((one) => one.model.excluded === null && openUntil(field, one) > at);
  open.sort((a, b) => openUntil(field, a) - openUntil(field, b));
  for (const { place, twin } of open) {
    if (order.length >= facts.attempts) return;
    if (taken.has(twin)) continue;
    taken.add(twin);
    order.push(place);
  }
}

function keepScores(contenders: readonly Contender[], scores: readonly number[], picked: Picked): void {
  for (const [index, { place }] of contenders.entries()) picked.scores.set(place, scores[index] as number);
}
