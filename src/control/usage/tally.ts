/** What pricing again changes of one provider's model. */
export interface TallyLine {
  provider: string;
  model: string;
  attempts: number;
  events: number;
  /** Picodollars, over what changes. */
  before: bigint;
  after: bigint;
  /** Attempts and events without a price before and after. */
  stillUnpriced: number;
}

type Kind = 'attempts' | 'events';

/** Sums what pricing again changes, in all and by provider and model. */
export class Tally {
  readonly #lines = new Map<string, TallyLine>();

  changed(kind: Kind, of: Pick<TallyLine, 'provider' | 'model'>, before: bigint, after: bigint): void {
    const line = this.#lineOf(of);
    line[kind] += 1;
    line.before += before;
    line.after += after;
  }

  unpriced(of: Pick<TallyLine, 'provider' | 'model'>): void {
    this.#lineOf(of).stillUnpriced += 1;
  }

  add(other: Tally): void {
    for (const line of other.lines) {
      const sum = this.#lineOf(line);
      for (const name of ['attempts', 'events', 'stillUnpriced'] as const) sum[name] += line[name];
      for (const name of ['before', 'after'] as const) sum[name] += line[name];
    }
  }

  get lines(): TallyLine[] {
    return [...this.#lines.values()];
  }

  get isEmpty(): boolean {
    return this.lines.every(({ attempts, events }) => attempts + events === 0);
  }

  #lineOf({ provider, model }: Pick<TallyLine, 'provider' | 'model'>): TallyLine {
    const name = JSON.stringify([provider, model]);
    const line = this.#lines.get(name) ?? {
      ...{ provider, model, attempts: 0, events: 0 },
      ...{ before: 0n, after: 0n, stillUnpriced: 0 },
    };
    this.#lines.set(name, line);
    return line;
  }
}
