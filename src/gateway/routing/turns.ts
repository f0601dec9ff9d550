import { setNewest } from '../../platform/bounded-map.ts';

/** Far more than the routes and hints there are; beyond it the oldest begins anew. */
const MOST_COUNTED = 10_000;

/** How often each route of this server was picked from: what its strategy goes by. Outlives every snapshot. */
export class Turns {
  readonly #counts = new Map<string, number>();

  /** 0 at first, then one more with each call for the same `key`. */
  next(key: string): number {
    const turn = this.#counts.get(key) ?? 0;
    if (turn === 0) setNewest(this.#counts, key, 1, MOST_COUNTED);
    else this.#counts.set(key, turn + 1);
    return turn;
  }

  /** How often it was called for `key`. */
  count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
}
