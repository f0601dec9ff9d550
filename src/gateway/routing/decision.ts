/**
 * What a plan was made from, recorded with its request: with the two facts that it names, the same plan can be made
 * again.
 */
export interface Decision {
  /** Id of the fact that holds the candidates as they were configured. */
  candidates: string;
  /** Id of the fact that holds their health. */
  health: string;
  /** When it was made, in milliseconds since 1970. */
  at: number;
  /** How often this server had picked from the same candidates before; null: a sticky key decided, or nothing counts. */
  turn: number | null;
  /** The slot, 0 to 9,999, that the sticky key hashed to; null: there was none. */
  slot: number | null;
  /** How often each target had been picked before, in the order of the targets; null: none of them goes by it. */
  modelTurns: readonly number[] | null;
  /** Places of the planned candidates among all, in the order in which they are tried. */
  plan: readonly number[];
}

/** A value that decisions are made from, written once and named by the hash of its content. */
export interface RoutingFact {
  id: string;
  /** JSON. */
  content: unknown;
}
