import type { ScoreWeights } from '../snapshot/snapshot.ts';

/** What candidates are compared by. Null: unknown. */
export interface Rated {
  /** USD for a million tokens. */
  price: number | null;
  /** Milliseconds. */
  latency: number | null;
  /** 0 to 100. */
  quality: number | null;
}

export const COST_ONLY: ScoreWeights = { cost: 100, latency: 0, quality: 0 };
export const LATENCY_ONLY: ScoreWeights = { cost: 0, latency: 100, quality: 0 };
/** PRODUCT.md, section 4: cost 40%, latency 40%, quality 20%. */
export const BALANCED: ScoreWeights = { cost: 40, latency: 40, quality: 20 };

/** Cents for a million tokens make no difference, and what is free has no ratio to anything. */
const PRICE_GRAIN = 0.01;
const MIDDLE_QUALITY = 50;

/**
 * How good each is in comparison with the others, 0 to 100: the weighted mean of its cost and its latency as ratios to
 * the best (twice the price of the cheapest makes 50) and of its quality. An unknown price counts as the worst; an
 * unknown latency or quality as the median of those that are known, so that being new is neither a merit nor a fault.
 */
export function scoresOf(items: readonly Rated[], weights: ScoreWeights): number[] {
  const cheapest = least(items.map(({ price }) => price)) ?? 0;
  const latencies = known(items.map(({ latency }) => latency));
  const fastest = latencies[0] ?? 1;
  const qualities = known(items.map(({ quality }) => quality));
  // Between two in the middle the worse one, so that nobody is preferred for being unknown.
  const usualLatency = latencies[latencies.length >> 1] ?? 1;
  const usualQuality = qualities[(qualities.length - 1) >> 1] ?? MIDDLE_QUALITY;
  return items.map(({ price, latency, quality }) => {
    const cost = price === null ? 0 : (cheapest + PRICE_GRAIN) / (price + PRICE_GRAIN);
    const speed = fastest / Math.max(1, latency ?? usualLatency);
    const merit = (quality ?? usualQuality) / 100;
    return weights.cost * cost + weights.latency * Math.min(1, speed) + weights.quality * merit;
  });
}

/** Ascending. */
function known(values: readonly (number | null)[]): number[] {
  return values.filter((value) => value !== null).sort((a, b) => a - b);
}

function least(values: readonly (number | null)[]): number | null {
  let found: number | null = null;
  for (const value of values) if (value !== null && (found === null || value < found)) found = value;
  return found;
}
