import { encodePrice } from './encode.ts';
import type { Journal } from './journal.ts';
import type { PriceVersion } from './prices.ts';

/** Prices that are remembered to be in the journal; after that many it begins anew. */
const REMEMBERED = 10_000;

/** Puts each price into the journal before the first record that names it. */
export class JournaledPrices {
  readonly #journal: Pick<Journal, 'append'>;
  readonly #durable = new Set<string>();

  constructor(journal: Pick<Journal, 'append'>) {
    this.#journal = journal;
  }

  /**
   * To be called in the turn in which the record is appended: until a price is known to be durable, each record that
   * names it brings it along, and both become durable or fail together.
   */
  write(price: PriceVersion): void {
    if (this.#durable.has(price.id)) return;
    this.#journal.append(encodePrice(price), true).then(
      () => {
        if (this.#durable.size >= REMEMBERED) this.#durable.clear();
        this.#durable.add(price.id);
      },
      // The record fails with it, and tells.
      () => undefined,
    );
  }
}
