import type { RouteStrategy, ScoreWeights } from '../snapshot/snapshot.ts';
import { byWeight, headedBy, rotated } from './order.ts';
import { BALANCED, COST_ONLY, LATENCY_ONLY, type Rated, scoresOf } from './score.ts';

/** One of every so many picks goes to a candidate whose latency is unknown, if there is one. */
const EXPLORED_EVERY = 10;

/** What a strategy compares: a target by its best model, or a model of a target. */
export interface Contender extends Rated {
  place: number;
  weight: number;
  /** As `TargetFacts` has it. */
  slots: readonly number[];
}

/** What a pick goes by besides the candidates. */
export interface Counter {
  /** Counts the picks from 0. */
  turn: number;
  /** Of a sticky key; null: there is none. */
  slot: number | null;
}

export interface Ranking {
  /** The first is the pick, the others stand in for it. */
  ranked: readonly Contender[];
  /** Of each contender, 0 to 100, in the order in which they came; null: the strategy gives none. */
  scores: readonly number[] | null;
  /** The first one is there to find out how fast it is. */
  isExploring: boolean;
}

/** By what a strategy scores; null: it does not. */
export function weightsOf(strategy: RouteStrategy, own: ScoreWeights | null): ScoreWeights | null {
  switch (strategy) {
    case 'COST':
      return COST_ONLY;
    case 'LATENCY':
      return LATENCY_ONLY;
    case 'BALANCED':
      return BALANCED;
    case 'CUSTOM':
      return own ?? BALANCED;
    default:
      return null;
  }
}

/** Puts those that can be used into the order in which they are tried. The same input gives the same order. */
export function rank(
  strategy: RouteStrategy,
  own: ScoreWeights | null,
  contenders: readonly Contender[],
  counter: Counter,
): Ranking {
  const weights = weightsOf(strategy, own);
  if (weights !== null) return byScore(contenders, weights, counter.turn);
  const ranked = unscored(strategy, contenders, counter);
  return { ranked, scores: null, isExploring: false };
}

function unscored(strategy: RouteStrategy, contenders: readonly Contender[], { turn, slot }: Counter) {
  if (strategy === 'ROUND_ROBIN') return rotated(contenders, turn);
  if (strategy !== 'WEIGHTED') return contenders;
  if (slot === null) return byWeight(contenders, turn);
  const owner = contenders.find(({ slots, weight }) => weight > 0 && owns(slots, slot));
  // While the owner cannot be used its keys are shared out by the weights of the others, each key always alike.
  return owner ? headedBy(owner, contenders) : byWeight(contenders, slot);
}

/** @param ranges from, to (exclusive), from, to … ascending */
export function owns(ranges: readonly number[], slot: number): boolean {
  for (let index = 0; index < ranges.length; index += 2) {
    if (slot < (ranges[index] as number)) return false;
    if (slot < (ranges[index + 1] as number)) return true;
  }
  return false;
}

function byScore(contenders: readonly Contender[], weights: ScoreWeights, turn: number): Ranking {
  const scores = scoresOf(contenders, weights);
  const unknown = ({ latency }: Contender) => Number(weights.latency > 0 && latency === null);
  const best = contenders
    .map((contender, index) => ({ contender, score: scores[index] as number }))
    .sort((a, b) => b.score - a.score || unknown(a.contender) - unknown(b.contender))
    .map(({ contender }) => contender);
  const cold = weights.latency > 0 ? contenders.filter(({ latency }) => latency === null) : [];
  if (cold.length === 0 || contenders.length < 2) return { ranked: best, scores, isExploring: false };
  const isNothingKnown = cold.length === contenders.length;
  if (!isNothingKnown && turn % EXPLORED_EVERY !== EXPLORED_EVERY - 1)
    return { ranked: best, scores, isExploring: false };
  const first = isNothingKnown ? turn : Math.floor(turn / EXPLORED_EVERY);
  const explored = cold[first % cold.length] as Contender;
  return { ranked: [explored, ...best.filter((one) => one !== explored)], scores, isExploring: true };
}
