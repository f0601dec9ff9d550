/** What is authenticated with a sealed key, so that nobody can move it: to another row, provider, user or table. */
export function systemKeyContext(row: { id: string; providerId: string }): string {
  return `provider_key:${row.providerId}:${row.id}`;
}

/** The same of a user's own key. */
export function ownKeyContext(row: { id: string; userId: string; providerId: string }): string {
  return `user_provider_key:${row.userId}:${row.providerId}:${row.id}`;
}
