/** Each bucket is a tenth wider than the one before it: 1 ms to about 20 minutes. */
const BUCKETS = 148;
const GROWTH = Math.log(1.1);
/** After this long a measurement counts half. */
const HALF_LIFE_MS = 120_000;
/** With less than this weight left nothing is known any more. */
const LEAST_WEIGHT = 3;
/** Weights grow with time in place of all others shrinking; beyond this they are scaled down. */
const LARGEST_SCALE = 2 ** 40;

/**
 * The median of what a target took lately: measurements lose half of their weight every two minutes, so it follows
 * changes, and a target that is not called any more is unknown again after a few of them. 600 bytes.
 */
export class LatencyEstimate {
  readonly #weights = new Float32Array(BUCKETS);
  #total = 0;
  /** When a measurement weighs 1. */
  #epoch: number;
  /** When it was measured last. */
  #measuredAt: number;

  constructor(now: number) {
    this.#epoch = now;
    this.#measuredAt = now;
  }

  add(ms: number, now: number): void {
    let weight = 2 ** ((now - this.#epoch) / HALF_LIFE_MS);
    if (weight > LARGEST_SCALE) {
      this.#rescale(now, weight);
      weight = 1;
    }
    const bucket = bucketOf(ms);
    this.#weights[bucket] = (this.#weights[bucket] ?? 0) + weight;
    this.#total += weight;
    this.#measuredAt = now;
  }

  /** The median in milliseconds, to within 5%; null: too little is known. */
  median(now: number): number | null {
    if (this.weight(now) < LEAST_WEIGHT) return null;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      below += this.#weights[bucket] ?? 0;
      if (below * 2 >= this.#total) return middleOf(bucket);
    }
    return middleOf(BUCKETS - 1);
  }

  /** How many measurements there are, those that are longer ago counting less. */
  weight(now: number): number {
    return this.#total / 2 ** ((now - this.#epoch) / HALF_LIFE_MS);
  }

  get measuredAt(): number {
    return this.#measuredAt;
  }

  #rescale(now: number, scale: number): void {
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const weight = (this.#weights[bucket] ?? 0) / scale;
      this.#weights[bucket] = weight;
      this.#total += weight;
    }
    this.#epoch = now;
  }
}

function bucketOf(ms: number): number {
  const bucket = Math.round(Math.log(Math.max(1, ms)) / GROWTH);
  return Math.min(bucket, BUCKETS - 1);
}

function middleOf(bucket: number): number {
  return Math.round(Math.exp(bucket * GROWTH));
}
