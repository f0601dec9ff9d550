import type { ProviderEntry, ProviderKey } from '../snapshot/snapshot.ts';

/** The first key of a provider that was not tried yet. */
export function untriedKey({ keys }: ProviderEntry, tried: ReadonlySet<string>): ProviderKey | null {
  return keys.find(({ id }) => !tried.has(id)) ?? null;
}
