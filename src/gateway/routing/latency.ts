/** Each bucket is a tenth wider than the one before it: 1 ms to about 20 minutes. */
const BUCKETS = 148;
const GROWTH = Math.log(1.1);
/** After this long a measurement counts half. */
const HALF_LIFE_MS = 30 * 60_000;
/** Each measurement takes so much of their weight from those before it: half of what counts are the last 44. */
const SAMPLE_DECAY = 64 / 63;
/** With less weight than this nothing is known any more. */
const LEAST_WEIGHT = 2;
/** New measurements weigh more in place of all others weighing less; beyond this they are scaled down. */
const LARGEST_SCALE = 2 ** 40;

/**
 * The median of what a target took lately. Measurements lose their weight to newer ones, so that it follows a change
 * within some forty calls, and slowly with time, so that a target that is called once in a while stays known, and one
 * that is not called any more is unknown again after an hour or two. 600 bytes.
 */
export class LatencyEstimate {
  readonly #weights = new Float32Array(BUCKETS);
  #total = 0;
  /** What a measurement at `#measuredAt` weighs. */
  #scale = 1;
  #measuredAt: number;

  constructor(now: number) {
    this.#measuredAt = now;
  }

  add(ms: number, now: number): void {
    this.#scale = this.#scaleAt(now) * SAMPLE_DECAY;
    this.#measuredAt = now;
    if (this.#scale > LARGEST_SCALE) this.#rescale();
    const bucket = bucketOf(ms);
    this.#weights[bucket] = (this.#weights[bucket] ?? 0) + this.#scale;
    this.#total += this.#scale;
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

  /** How many measurements there are, older ones counting less. */
  weight(now: number): number {
    return this.#total / this.#scaleAt(now);
  }

  #scaleAt(now: number): number {
    return this.#scale * 2 ** (Math.max(0, now - this.#measuredAt) / HALF_LIFE_MS);
  }

  #rescale(): void {
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const weight = (this.#weights[bucket] ?? 0) / this.#scale;
      this.#weights[bucket] = weight;
      this.#total += weight;
    }
    this.#scale = 1;
  }
}

function bucketOf(ms: number): number {
  const bucket = Math.round(Math.log(Math.max(1, ms)) / GROWTH);
  return Math.min(bucket, BUCKETS - 1);
}

function middleOf(bucket: number): number {
  return Math.round(Math.exp(bucket * GROWTH));
}
