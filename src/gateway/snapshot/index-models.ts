import type { OfferedModel, ProviderEntry } from './snapshot.ts';

/** Who offers a model of a name, in the order of `providers`. Made once for all requests. */
export function indexModels(providers: readonly ProviderEntry[]): Map<string, OfferedModel[]> {
  const index = new Map<string, OfferedModel[]>();
  for (const provider of providers) {
    for (const model of provider.models) {
      if (!model.isEnabled) continue;
      const offers = index.get(model.name);
      if (offers) offers.push({ provider, model });
      else index.set(model.name, [{ provider, model }]);
    }
  }
  return index;
}
