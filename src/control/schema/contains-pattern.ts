/** The pattern of ILIKE for texts that contain `search` as it is written. Postgres refuses NUL, which no text has. */
export function containsPattern(search: string): string {
  return `%${search.replaceAll('\0', '\ufffd').replace(/[\\%_]/g, '\\$&')}%`;
}
