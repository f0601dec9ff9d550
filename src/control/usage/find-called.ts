import type { Called } from '../../gateway/prices/cost.ts';
import type { ProviderEntry, Snapshot } from '../../gateway/snapshot/snapshot.ts';
import { storable } from '../../platform/storable.ts';

/** The provider that a text means: its slug, its name, or its kind, of which the first by priority. Null: there is none. */
export function findProvider({ providers, providersBySlug }: Snapshot, text: string): ProviderEntry | null {
  const wanted = text.toLowerCase();
  return (
    providersBySlug.get(wanted) ??
    providers.find(({ name }) => name.toLowerCase() === wanted) ??
    providers.find(({ kind }) => kind.toLowerCase() === wanted) ??
    null
  );
}

/** What rows may call the provider that a text means: its slug, or that text, from before there was one of that name. */
export function slugsOf(snapshot: Snapshot, text: string): string[] {
  const provider = findProvider(snapshot, text);
  return [...(provider ? [provider.slug] : []), storable(text)];
}

/** A provider's model, which need not be in its list. */
export function calledOf(provider: ProviderEntry, name: string): Called {
  return { provider, model: provider.models.find((model) => model.name === name) ?? { name, price: null } };
}
