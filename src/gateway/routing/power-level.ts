import type { PriceComponents } from '../ledger/prices.ts';

export const POWER_LEVELS = ['ECO', 'BALANCED', 'PRECISION'] as const;

/** What a model may cost by its blended price. */
export type PowerLevel = (typeof POWER_LEVELS)[number];

/** PRODUCT.md, section 4: under $0.50, $0.50 to $5, over $5 for a million tokens. */
const ECO_BELOW = 0.5;
const PRECISION_ABOVE = 5;

/** USD for a million tokens, three parts input and one part output. */
export function blendedPrice({ input, output }: PriceComponents): number {
  // Picodollars for a token are micro-dollars for a million.
  return (3 * input + output) / 4 / 1_000_000;
}

/** Null: what has no price has no level. */
export function powerLevelOf(price: number | null): PowerLevel | null {
  if (price === null) return null;
  if (price < ECO_BELOW) return 'ECO';
  return price > PRECISION_ABOVE ? 'PRECISION' : 'BALANCED';
}
