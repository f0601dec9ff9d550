/** A run of neighbouring slots with one owner. */
export interface Run {
  /** Place of a target, or `NOBODY`. */
  owner: number;
  from: number;
  /** Exclusive. */
  to: number;
}

const NOBODY = -1;

/** Who owns each slot while slots change hands, and how many each target still lacks or has too many. */
export class SlotMap {
  readonly #owners: Int16Array;
  /** Below 0: it has so many too many. */
  readonly #lacks: number[];
  /** How many each target has had at first. */
  readonly held: readonly number[];

  /** @param ranges of each target: from, to (exclusive), from, to … */
  constructor(size: number, ranges: readonly (readonly number[])[]) {
    this.#owners = new Int16Array(size).fill(NOBODY);
    for (const [target, flat] of ranges.entries())
      for (let index = 0; index < flat.length; index += 2) this.#owners.fill(target, flat[index], flat[index + 1]);
    const held = ranges.map(() => 0);
    for (const owner of this.#owners) if (owner !== NOBODY) held[owner] = (held[owner] ?? 0) + 1;
    this.held = held;
    this.#lacks = ranges.map(() => 0);
  }

  /** Says how many slots each target shall have. */
  want(counts: readonly number[]): void {
    for (const [target, count] of counts.entries()) this.#lacks[target] = count - (this.held[target] ?? 0);
  }

  /** The target that lacks most; undefined: none lacks any. */
  neediest(): number | undefined {
    const most = Math.max(...this.#lacks);
    return most > 0 ? this.#lacks.indexOf(most) : undefined;
  }

  /** The runs whose owner must give, or that have none, the smallest first. */
  spare(): Run[] {
    return this.#runs()
      .filter(({ owner }) => this.#surplus(owner) > 0)
      .sort((a, b) => a.to - a.from - (b.to - b.from));
  }

  /** The owners on both sides of a run. */
  neighbours({ from, to }: Run): number[] {
    return [this.#owners[from - 1] ?? NOBODY, this.#owners[to] ?? NOBODY];
  }

  /** How much of a run a target may get. */
  portion({ owner, from, to }: Run, taker: number): number {
    return Math.max(0, Math.min(to - from, this.#surplus(owner), this.#lacks[taker] ?? 0));
  }

  give({ owner, from, to }: Run, taker: number): void {
    this.#owners.fill(taker, from, to);
    if (owner !== NOBODY) this.#lacks[owner] = (this.#lacks[owner] ?? 0) + to - from;
    this.#lacks[taker] = (this.#lacks[taker] ?? 0) - (to - from);
  }

  ranges(): number[][] {
    const ranges = this.#lacks.map((): number[] => []);
    for (const { owner, from, to } of this.#runs()) ranges[owner]?.push(from, to);
    return ranges;
  }

  #surplus(owner: number): number {
    return owner === NOBODY ? this.#owners.length : -(this.#lacks[owner] ?? 0);
  }

  #runs(): Run[] {
    const owners = this.#owners;
    const runs: Run[] = [];
    for (let from = 0; from < owners.length; ) {
      const owner = owners[from] as number;
      let to = from + 1;
      while (owners[to] === owner) to += 1;
      runs.push({ owner, from, to });
      from = to;
    }
    return runs;
  }
}
