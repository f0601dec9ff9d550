const MOST_NAMES = 3;
/** Names longer than this are compared by their beginning. */
const COMPARED = 64;

/**
 * The names that look most like the one asked for, best first; empty when none is close. Clients cause this with every
 * name that is wrong, over all names there are: what cannot be close is left as early as possible.
 */
export function nearestNames(wanted: string, names: Iterable<string>): string[] {
  const target = wanted.toLowerCase().slice(0, COMPARED);
  const limit = Math.floor(Math.max(2, target.length / 3));
  const close: { name: string; distance: number }[] = [];
  for (const name of names) {
    const candidate = name.toLowerCase().slice(0, COMPARED);
    const isPart = candidate.includes(target) || target.includes(candidate);
    const distance = isPart ? 1 : editDistance(target, candidate, limit);
    if (distance <= limit) close.push({ name, distance });
  }
  return close
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MOST_NAMES)
    .map(({ name }) => name);
}

/** Two rows of the table, used again for every pair. */
let above = new Uint8Array(COMPARED + 1);
let row = new Uint8Array(COMPARED + 1);

/** Levenshtein's distance of texts of up to `COMPARED` characters, one row at a time; above `limit` any number above it. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  for (let j = 0; j <= b.length; j++) above[j] = j;
  for (let i = 1; i <= a.length; i++) {
    row[0] = i;
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const substitution = (above[j - 1] as number) + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1);
      const distance = Math.min(substitution, (above[j] as number) + 1, (row[j - 1] as number) + 1);
      row[j] = distance;
      if (distance < least) least = distance;
    }
    // No later row has less than the least of this one.
    if (least > limit) return limit + 1;
    [above, row] = [row, above];
  }
  return above[b.length] as number;
}
