const GOLDEN_RATIO = (1 + Math.sqrt(5)) / 2;

/** Each in turn first, and those that follow in the rotation after it. `turn` counts from 0. */
export function rotated<T>(items: readonly T[], turn: number): readonly T[] {
  if (items.length < 2) return items;
  const first = turn % items.length;
  return first === 0 ? items : [...items.slice(first), ...items.slice(0, first)];
}

/**
 * Begins with each as often as its weight says, and goes on with the heaviest. Who has weight 0 is left out.
 * @param items weights are whole numbers whose sum is below 2^26
 * @param turn counts the picks, from 0
 */
export function byWeight<T extends { weight: number }>(items: readonly T[], turn: number): readonly T[] {
  const weighted = items.filter(({ weight }) => weight > 0);
  return weighted.length < 2 ? weighted : headedBy(pickByWeight(weighted, turn), weighted);
}

/** This one, and after it the others by their weights. */
export function headedBy<T extends { weight: number }>(picked: T, items: readonly T[]): readonly T[] {
  const others = items.filter((item) => item !== picked && item.weight > 0).sort((a, b) => b.weight - a.weight);
  return [picked, ...others];
}

/**
 * Lays the weights, divided by what they have in common, side by side on a circle, and goes around it by steps of about
 * the golden section. The step shares no factor with the circle's length, so each place is met once in every period:
 * whatever window of that many picks is looked at, each candidate has exactly its share in it. The golden section is
 * the step that spreads the picks of one candidate most evenly (the three-distance theorem).
 */
function pickByWeight<T extends { weight: number }>(candidates: readonly T[], turn: number): T {
  const unit = candidates.reduce((divisor, { weight }) => greatestCommonDivisor(divisor, weight), 0);
  const period = candidates.reduce((sum, { weight }) => sum + weight, 0) / unit;
  // Both factors are below 2^26, so the product is exact.
  let place = ((turn % period) * stepFor(period)) % period;
  for (const candidate of candidates) {
    place -= candidate.weight / unit;
    if (place < 0) return candidate;
  }
  throw new Error('no candidate has a weight');
}

/** The whole number nearest to the golden section of `period` that has no divisor in common with it. */
function stepFor(period: number): number {
  const section = Math.round(period / GOLDEN_RATIO);
  for (let distance = 0; ; distance++) {
    if (greatestCommonDivisor(section - distance, period) === 1) return section - distance;
    if (greatestCommonDivisor(section + distance, period) === 1) return section + distance;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  let [larger, smaller] = [a, b];
  while (smaller > 0) [larger, smaller] = [smaller, larger % smaller];
  return larger;
}
