import { type CostSource, costOf, type PriceVersion, type Usage } from '../../gateway/ledger/prices.ts';
import { MAX_BIGINT } from '../../gateway/ledger/storable.ts';
import { priceCall } from '../../gateway/prices/cost.ts';
import type { ProviderEntry } from '../../gateway/snapshot/snapshot.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import { calledOf } from './find-called.ts';

/** What something costs. */
export interface Price {
  cost: Picodollars;
  costSource: CostSource;
  /** Null: the cost does not come from a price. */
  price: PriceVersion | null;
}

/** What was called, and what is known of it. */
export interface Use {
  /** Null: there is none of its name. */
  provider: ProviderEntry | null;
  /** What was asked for. */
  model: string;
  /** What the provider says answered. */
  answeredModel: string | null;
  usage: Usage;
  /** What the provider said that it cost. */
  reportedCost: Picodollars | null;
  /** Milliseconds since 1970: prices change with time. */
  at: number;
}

/** What a use costs by the prices that are known now, as of its time. Null: that is not known. */
export function priceOf({ provider, model, answeredModel, usage, reportedCost, at }: Use): Price | null {
  if (!provider) return null;
  const called = calledOf(provider, model);
  const { cost, costSource, price } = priceCall(called, at, { model: answeredModel, usage, reportedCost });
  return cost === null || costSource === null ? null : { cost: storableCost(cost), costSource, price };
}

/** What usage costs by a price. */
export function pricedBy(price: PriceVersion, usage: Usage): Price | null {
  const cost = costOf(usage, price);
  return cost === null ? null : { cost: storableCost(cost), costSource: 'PRICED', price };
}

/** The ledger's columns end at $9.2M for one call. */
function storableCost(cost: Picodollars): Picodollars {
  return cost > MAX_BIGINT ? picodollars(MAX_BIGINT) : cost;
}
