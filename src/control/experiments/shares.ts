import type { Variant } from './variants.ts';

export interface Share {
  variant: Variant;
  /** Whole. */
  percentage: number;
}

/**
 * Whole percentages with the sum 100: one variant gets so many, the others share the rest as they share theirs now.
 * @param percentage of the winner, whole
 */
export function sharesWith(variants: readonly Variant[], winner: Variant, percentage: number): Share[] {
  const others = variants.filter((variant) => variant !== winner);
  const now = others.map((variant) => variant.percentage ?? 1);
  // Where none of the others gets anything, all get the same.
  const weights = now.some((share) => share > 0) ? now : now.map(() => 1);
  const rest = apportion(others.length > 0 ? 100 - percentage : 0, weights);
  const byVariant = new Map(others.map((variant, index) => [variant, rest[index] ?? 0]));
  const most = 100 - rest.reduce((sum, share) => sum + share, 0);
  return variants.map((variant) => ({ variant, percentage: byVariant.get(variant) ?? most }));
}

/** A whole total in whole parts by the largest remainders. */
function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const exact = weights.map((weight) => (total * weight) / sum);
  const parts = exact.map(Math.floor);
  const byRemainder = [...exact.keys()].sort((a, b) => ((exact[b] ?? 0) % 1) - ((exact[a] ?? 0) % 1));
  let left = total - parts.reduce((all, part) => all + part, 0);
  for (const index of byRemainder) {
    if (left === 0) break;
    parts[index] = (parts[index] ?? 0) + 1;
    left -= 1;
  }
  return parts;
}
