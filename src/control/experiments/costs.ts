import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { Span } from '../metrics/metrics.ts';
import type { DatedSums } from './variant-sums.ts';
import type { Variant } from './variants.ts';

const MONTH_MS = 30 * 86_400_000;
/** Roll-ups do not tell shorter times apart. */
const SHORTEST_MS = 60_000;

/** What is saved in 30 days when requests go to another variant; negative: it costs more. Null: a price is unknown. */
export interface Saving {
  to: Variant;
  ofAll: Picodollars | null;
  ofTenPercent: Picodollars | null;
}

export interface VariantCost {
  variant: Variant;
  sums: DatedSums;
  /** In 30 days at the present volume. */
  monthlyRequests: bigint;
  /** The same; those without a price are taken to cost as much as the others. Null: none has a price. */
  monthlyCost: Picodollars | null;
  savings: readonly Saving[];
}

export interface RouteCosts {
  /** How much of the span there were requests for, in milliseconds. */
  measuredMs: number;
  variants: readonly VariantCost[];
}

type Summed = readonly [variant: Variant, sums: DatedSums];

/**
 * What variants cost, and would cost in 30 days at the volume of the span. A route that is younger than the span is
 * measured from its first request on. All divisions are of whole numbers, each result is rounded once.
 */
export function costsOf(summed: readonly Summed[], span: Span, now: Date): RouteCosts {
  const starts = summed.flatMap(([, { firstAt }]) => firstAt?.getTime() ?? []);
  const begin = Math.max(span.from.getTime(), Math.min(...starts));
  const end = Math.min(span.to.getTime(), now.getTime());
  const measuredMs = starts.length === 0 ? 0 : Math.max(SHORTEST_MS, end - begin);
  const months = { times: BigInt(MONTH_MS), over: BigInt(Math.max(1, measuredMs)) };
  const variants = summed.map(
    ([variant, sums]): VariantCost => ({
      variant,
      sums,
      monthlyRequests: divide(sums.requests * months.times, months.over),
      monthlyCost: atPriceOf(sums, sums.requests * months.times, months.over),
      savings: summed.flatMap(([to, others]): Saving[] => {
        if (to === variant) return [];
        const saving = (share: bigint) => savingOf(sums, others, months.times, months.over * share);
        return [{ to, ofAll: saving(1n), ofTenPercent: saving(10n) }];
      }),
    }),
  );
  return { measuredMs, variants };
}

/** What all cost in 30 days; null: the cost of one that has requests is unknown. */
export function totalOf(costs: readonly VariantCost[]): Picodollars | null {
  const known = costs.filter(({ sums }) => sums.requests > 0n).map(({ monthlyCost }) => monthlyCost);
  if (known.some((cost) => cost === null)) return null;
  return picodollars(known.reduce((sum: bigint, cost) => sum + (cost ?? 0n), 0n));
}

/** `times / over` requests at the average cost of a variant's. */
function atPriceOf(sums: DatedSums, times: bigint, over: bigint): Picodollars | null {
  const priced = sums.requests - sums.unpricedRequests;
  return priced === 0n ? null : picodollars(divide(sums.cost * times, priced * over));
}

/** What `times / over` of the one's requests cost more there than at the other's average cost. */
function savingOf(one: DatedSums, other: DatedSums, times: bigint, over: bigint): Picodollars | null {
  const [priced, others] = [one.requests - one.unpricedRequests, other.requests - other.unpricedRequests];
  if (priced === 0n || others === 0n) return null;
  const more = one.cost * others - other.cost * priced;
  return picodollars(divide(more * one.requests * times, priced * others * over));
}

/** Rounded half away from 0. */
function divide(dividend: bigint, divisor: bigint): bigint {
  const half = divisor / 2n;
  return (dividend < 0n ? dividend - half : dividend + half) / divisor;
}
