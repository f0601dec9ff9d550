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
  const cheapest = leastOf(items, 'price') ?? 0;
  const fastest = leastOf(items, 'latency') ?? 1;
  // Between two in the middle the worse one, so that nobody is preferred for being unknown.
  const usualLatency = fillIn(items, 'latency', (known) => known[known.length >> 1] ?? 1);
  const usualQuality = fillIn(items, 'quality', (known) => known[(known.length - 1) >> 1] ?? MIDDLE_QUALITY);
  return items.map(({ price, latency, quality }) => {
    const cost = price === null ? 0 : (cheapest + PRICE_GRAIN) / (price + PRICE_GRAIN);
    const speed = fastest / Math.max(1, latency ?? usualLatency);
    const merit = (quality ?? usualQuality) / 100;
    return weights.cost * cost + weights.latency * Math.min(1, speed) + weights.quality * merit;
  });
}

/** What stands in for those that are unknown; 0 where none is. */
function fillIn(items: readonly Rated[], of: keyof Rated, middle: (ascending: number[]) => number): number {
  if (items.every((item) => item[of] !== null)) return 0;
  const known = items.map((item) => item[of]).filter((value) => value !== null);
  return middle(known.sort((a, b) => a - b));
}

function leastOf(items: readonly Rated[], of: keyof Rated): number | null {
  let found: number | null = null;
  for (const { [of]: value } of items) if (value !== null && (found === null || value < found)) found = value;
  return found;
}
