import type { Picodollars } from '../../platform/money.ts';
import { costOf, type PriceVersion, type Usage } from '../ledger/prices.ts';
import type { AttemptOutcome } from '../ledger/records.ts';
import type { ModelEntry, ProviderEntry } from '../snapshot/snapshot.ts';
import { PROVIDER_KINDS } from '../upstream/kinds.ts';
import { listPrice } from './price-list.ts';

/** What is called: a model of a provider, which need not be in the catalog. */
export interface Called {
  provider: ProviderEntry;
  model: Pick<ModelEntry, 'name' | 'price'>;
}

/** What is known of a call that has an answer. */
export interface Answered {
  /** The model that the provider says answered; null: it says nothing. */
  model: string | null;
  usage: Usage;
  /** What the provider says that it cost. */
  reportedCost: Picodollars | null;
}

/** A cost and where it comes from. The price is what the cost is computed with, or would be if the usage were known. */
export interface Priced extends Pick<AttemptOutcome, 'cost' | 'costSource'> {
  price: PriceVersion | null;
}

/**
 * What a call cost. In this order: by what an admin said of the model, what the provider reports, the price list, the
 * catalog; else it is unknown.
 * @param startedAt when the call was sent: prices change with time
 */
export function priceCall(called: Called, startedAt: number, { model, usage, reportedCost }: Answered): Priced {
  const models = modelsOf(called, model);
  const override = overrideOf(models);
  if (!override && reportedCost !== null && PROVIDER_KINDS[called.provider.kind].reportsCost)
    return { cost: reportedCost, costSource: 'REPORTED', price: null };
  const price = override ?? knownPrice(called, models, startedAt);
  const cost = costOf(usage, price);
  return { cost, costSource: cost === null ? null : 'PRICED', price };
}

/** What a call is going to be priced with, as long as the model that is asked for answers. */
export function expectedPrice(called: Called, startedAt: number): PriceVersion | null {
  const models = modelsOf(called, null);
  return overrideOf(models) ?? knownPrice(called, models, startedAt);
}

type Model = Called['model'];

/** The model that answered, then the one that was asked for. */
function modelsOf({ provider, model }: Called, answered: string | null): readonly Model[] {
  if (answered === null || answered === model.name) return [model];
  return [indexOf(provider).get(answered) ?? { name: answered, price: null }, model];
}

/** Made when a provider's answer first names another model than was asked for: lists have thousands. */
const indexes = new WeakMap<ProviderEntry, ReadonlyMap<string, Model>>();

function indexOf(provider: ProviderEntry): ReadonlyMap<string, Model> {
  const known = indexes.get(provider);
  if (known) return known;
  const index = new Map(provider.models.map((model) => [model.name, model]));
  indexes.set(provider, index);
  return index;
}

function overrideOf(models: readonly Model[]): PriceVersion | null {
  return models.find(({ price }) => price?.source === 'OVERRIDE')?.price ?? null;
}

function knownPrice({ provider }: Called, models: readonly Model[], at: number): PriceVersion | null {
  for (const { name, price } of models) {
    const known = listPrice(provider, name, at) ?? price;
    if (known) return known;
  }
  return null;
}
