import type { RoutingFact } from '../routing/decision.ts';
import { encodeFact } from './encode.ts';
import type { Journal } from './journal.ts';

/** Facts that are remembered to be in the journal; after that many it begins anew. */
const REMEMBERED = 10_000;

/** Puts each fact into the journal before the first record that names it. */
export class JournaledFacts {
  readonly #journal: Pick<Journal, 'append'>;
  /** By id, whether it was written; false: it cannot be. */
  readonly #known = new Map<string, boolean>();

  constructor(journal: Pick<Journal, 'append'>) {
    this.#journal = journal;
  }

  /**
   * To be called in the turn in which the record is appended. A fact may be large, so that records do not bring it along
   * again while it is being written; if it cannot be, the next one does.
   * @returns false when it is too large to be kept.
   */
  write(fact: RoutingFact): boolean {
    const known = this.#known.get(fact.id);
    if (known !== undefined) return known;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    const json = encodeFact(fact);
    this.#known.set(fact.id, json !== null);
    if (json === null) return false;
    // The record fails with it, and tells.
    this.#journal.append(json, false).catch(() => this.#known.delete(fact.id));
    return true;
  }
}
