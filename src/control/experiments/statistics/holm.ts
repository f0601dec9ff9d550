/**
 * Adjusts p-values that are looked at together (Holm 1979): when nothing differs, the chance that any of them is below
 * 0.05 is at most 5%. Null stays null, and does not count.
 */
export function adjustTogether(pValues: readonly (number | null)[]): (number | null)[] {
  const known = pValues.flatMap((pValue, index) => (pValue === null ? [] : [{ pValue, index }]));
  known.sort((a, b) => a.pValue - b.pValue);
  const adjusted: (number | null)[] = pValues.map(() => null);
  let largest = 0;
  for (const [rank, { pValue, index }] of known.entries()) {
    largest = Math.max(largest, Math.min(1, pValue * (known.length - rank)));
    adjusted[index] = largest;
  }
  return adjusted;
}
