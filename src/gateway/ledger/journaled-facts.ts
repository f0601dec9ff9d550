import type { RoutingFact } from '../routing/decision.ts';
import { encodeFact } from './encode.ts';
import type { Journal } from './journal.ts';

/** Facts that are remembered to be in the journal; after that many it begins anew. */
const REMEMBERED = 10_000;
/** A fact that is still named is written again after this long, so that the database knows that it is in use. */
export const REWRITTEN_AFTER_MS = 24 * 3_600_000;

/** Puts each fact into the journal before the first record that names it. */
export class JournaledFacts {
  readonly #journal: Pick<Journal, 'append'>;
  /** By id, when it was written last, in milliseconds since 1970; null: it cannot be. */
  readonly #known = new Map<string, number | null>();

  constructor(journal: Pick<Journal, 'append'>) {
    this.#journal = journal;
  }

  /**
   * To be called in the turn in which the record is appended. A fact may be large, so that records do not bring it along
   * again while it is being written; if it cannot be, the next one does.
   * @returns false when it is too large to be kept.
   */
  write(fact: RoutingFact, now = Date.now()): boolean {
    const known = this.#known.get(fact.id);
    if (known === null) return false;
    if (known !== undefined && now - known < REWRITTEN_AFTER_MS) return true;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    const json = encodeFact(fact);
    this.#known.set(fact.id, json === null ? null : now);
    if (json === null) return false;
    // The record fails with it, and tells.
    this.#journal.append(json, false).catch(() => this.#known.delete(fact.id));
    return true;
  }
}
