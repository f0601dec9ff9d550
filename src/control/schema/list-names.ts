const MOST_NAMES = 10;

/** Names for a sentence, the first ten of them: `"a", "b" and 3 more`. */
export function listNames(names: readonly string[]): string {
  const listed = names.slice(0, MOST_NAMES).map((name) => `"${name}"`);
  const more = names.length > listed.length ? ` and ${names.length - listed.length} more` : '';
  return `${listed.join(', ')}${more}`;
}
