import type { OwnKeys } from '../admission/caller.ts';
import type { Target } from './candidates.ts';
import type { Choice } from './choice.ts';
import type { Decision, RoutingFact } from './decision.ts';
import { type Candidate, factOf } from './facts.ts';
import { ANSWER_KINDS, type AnswerKind, type TargetHealth } from './health.ts';
import { type Field, fieldOf, type Picked, type PickInputs, pick } from './pick.ts';
import { slotOf } from './slots.ts';
import { Turns } from './turns.ts';

/** What of a request decides, besides what its `model` means. */
export interface Asking {
  ownKeys: OwnKeys;
  kind: AnswerKind;
  /** What sticky requests have in common; null: nothing. */
  stickyKey: string | null;
  /** Milliseconds since 1970. */
  at: number;
}

/** A choice from which one candidate was picked. */
export interface Decided {
  decision: Decision;
  /** The candidates and their health as they were, for the record. */
  facts: readonly [candidates: RoutingFact, health: RoutingFact];
  /** Where to go, in this order; never empty. */
  order: readonly Target[];
  /** The others, which were not planned: a request that is too long for those may fit into one of them. */
  others: () => readonly Target[];
  field: Field;
  picked: Picked;
}

interface View {
  version: number;
  field: Field;
  health: RoutingFact;
  /** What was picked when nothing but the time went into it, and until when that holds. */
  last: { picked: Picked; from: number; until: number } | null;
}

/** Decisions look alike until something changes: what they see is put together once, and so is its name. */
interface Views {
  candidates: RoutingFact;
  byKind: Partial<Record<AnswerKind, View>>;
}

const NO_HEALTH: View['health'] = factOf({});

/** Picks for every request of this server: counts the turns, and keeps what the decisions were made from. */
export class Router {
  readonly health: TargetHealth;
  readonly #turns = new Turns();
  readonly #views = new WeakMap<Choice, Views>();

  constructor(health: TargetHealth) {
    this.health = health;
  }

  /** Picks, and counts the pick. */
  decide(choice: Choice, asking: Asking): Decided {
    const views = this.#viewsOf(choice);
    const view = this.#view(choice, views, asking);
    const { field, health } = view;
    const slot = asking.stickyKey === null ? null : slotOf(asking.stickyKey);
    const { countedAs, countedTargets } = choice;
    const inputs = {
      at: asking.at,
      turn: countedAs === null || slot !== null ? null : this.#turns.next(countedPerKind(choice, asking.kind)),
      slot,
      modelTurns: countedTargets.size === 0 ? null : this.#modelTurns(choice),
    };
    const picked = this.#pick(view, inputs);
    if (countedTargets.size > 0) this.#countTarget(choice, field.candidates[picked.order[0] as number] as Candidate);
    const plan = picked.order.slice(0, choice.facts.attempts);
    return {
      decision: { candidates: views.candidates.id, health: health.id, ...inputs, plan },
      facts: [views.candidates, health],
      order: picked.order.map((place) => choice.targets[place] as Target),
      others: () => unplanned(choice, picked.order),
      field,
      picked,
    };
  }

  /** How often the route was picked from on this server, for all kinds of answers together. */
  picksOf(routeId: string): number {
    const perKind = ANSWER_KINDS.map((kind) => this.#turns.count(`${routeId} ${kind}`));
    return perKind.reduce((sum, count) => sum + count, this.#turns.count(routeId));
  }

  #viewsOf(choice: Choice): Views {
    const known = this.#views.get(choice);
    if (known) return known;
    const views: Views = { candidates: factOf(choice.facts), byKind: {} };
    this.#views.set(choice, views);
    return views;
  }

  #view(choice: Choice, views: Views, { ownKeys, kind, at }: Asking): View {
    const { candidates, targets, usesLatency } = choice;
    const version = this.health.version(usesLatency, at);
    const known = views.byKind[kind];
    if (known?.version === version) return known;
    const facts = this.health.factsOf(candidates, targets, ownKeys, kind, usesLatency, at);
    const isOrdinary = Object.keys(facts).length === 0;
    const view: View = {
      version,
      field: fieldOf(choice.facts, facts, candidates),
      health: isOrdinary ? NO_HEALTH : factOf(facts),
      last: null,
    };
    views.byKind[kind] = view;
    return view;
  }

  #pick(view: View, inputs: PickInputs): Picked {
    const { at, turn, slot, modelTurns } = inputs;
    if (turn !== null || slot !== null || modelTurns !== null) return pick(view.field, inputs);
    if (view.last && view.last.from <= at && at < view.last.until) return view.last.picked;
    const { resting = {}, open = {} } = view.field.health;
    const picked = pick(view.field, inputs);
    // Time makes a difference only where a rest or a circuit ends.
    const until = Math.min(...[...Object.values(resting), ...Object.values(open)].filter((end) => end > at));
    view.last = { picked, from: at, until };
    return picked;
  }

  #modelTurns({ facts, countedTargets }: Choice): number[] {
    const count = facts.sections.reduce((sum, { targets }) => sum + targets.length, 0);
    return Array.from({ length: count }, (_, index) => {
      const key = countedTargets.get(index);
      return key === undefined ? 0 : this.#turns.count(key);
    });
  }

  #countTarget({ countedTargets }: Choice, { targetPlace }: Candidate): void {
    const key = countedTargets.get(targetPlace);
    if (key !== undefined) this.#turns.next(key);
  }
}

/** How fast a target is, is known for each kind of answer by itself, and found out by turns of its own. */
function countedPerKind({ countedAs, usesLatency }: Choice, kind: AnswerKind): string {
  return usesLatency ? `${countedAs} ${kind}` : `${countedAs}`;
}

function unplanned({ targets }: Choice, order: readonly number[]): readonly Target[] {
  const planned = new Set(order);
  return targets.filter((target, place): target is Target => target !== null && !planned.has(place));
}
