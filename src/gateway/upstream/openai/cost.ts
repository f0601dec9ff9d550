import { fromUsd, type Picodollars, picodollars } from '../../../platform/money.ts';
import { isRecord } from '../body.ts';

/** xAI counts in ticks: 10,000,000,000 of them are a dollar. */
const PICODOLLARS_PER_TICK = 100n;

/**
 * What a provider says in its usage that a call cost; null: it says nothing. OpenRouter has `cost` in dollars, and beside
 * it, when it called with a key of the customer's own, what that call costs at its provider; Perplexity has `cost` as an
 * object; xAI has `cost_in_usd_ticks`.
 */
export function readCost(usage: unknown): Picodollars | null {
  if (!isRecord(usage)) return null;
  const { cost, cost_in_usd_ticks: ticks, is_byok: isOwnKey, cost_details: details } = usage;
  if (Number.isSafeInteger(ticks) && (ticks as number) >= 0)
    return picodollars(BigInt(ticks as number) * PICODOLLARS_PER_TICK);
  const told = toPicodollars(isRecord(cost) ? cost.total_cost : cost);
  if (told === null || isOwnKey !== true) return told;
  const upstream = isRecord(details) ? toPicodollars(details.upstream_inference_cost) : null;
  return upstream === null ? null : picodollars(told + upstream);
}

/** Dollars as a JSON number, to the nearest picodollar. Its shortest decimal text is what was sent. */
function toPicodollars(value: unknown): Picodollars | null {
  if (typeof value !== 'number' || !(value >= 0) || value > 1e9) return null;
  return fromUsd(String(value)) ?? fromUsd(value.toFixed(12));
}
