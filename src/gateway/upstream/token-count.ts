/** As many as fit into a column of Postgres. */
const MOST = 2_147_483_647;

/** A number of tokens that a provider tells; null for whatever is none. */
export function tokenCount(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST ? (value as number) : null;
}
