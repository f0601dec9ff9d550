import { picodollars } from '../../platform/money.ts';
import { averageCost, type Span } from '../metrics/metrics.ts';
import { builder } from '../schema/builder.ts';
import { type RouteCosts, type Saving, totalOf, type VariantCost } from './costs.ts';
import { reportFields } from './report-fields.ts';
import { variantFields } from './variant-fields.ts';
import type { DatedSums } from './variant-sums.ts';

/** What a route's targets cost in a span. */
export interface CostAnalysisView extends RouteCosts {
  routeId: string;
  span: Span;
}

const DAY_MS = 86_400_000;
const UNPRICED = 'Calls that used tokens whose price is unknown; no cost counts them as free.';

const VariantSaving = builder.objectRef<Saving>('VariantSaving').implement({
  description:
    'What 30 days would cost less if a variant’s requests went to another one at its average cost. Negative: more. Null: one of them has no priced requests.',
  fields: (t) => ({
    to: t.id({ description: 'Id of the other variant.', resolve: ({ to }) => to.id }),
    ofAll: t.expose('ofAll', { type: 'USD', nullable: true, description: 'If all of them went there.' }),
    ofTenPercent: t.expose('ofTenPercent', {
      type: 'USD',
      nullable: true,
      description: 'If every tenth of them went there.',
    }),
  }),
});

const VariantCostType = builder.objectRef<VariantCost>('VariantCost').implement({
  description: 'What a target of a route costs.',
  fields: (t) => ({
    ...variantFields(t),
    requests: t.field({
      type: 'BigInt',
      description: 'Upstream calls that went to it.',
      resolve: ({ sums }) => sums.requests,
    }),
    unpricedRequests: t.field({
      type: 'BigInt',
      description: UNPRICED,
      resolve: ({ sums }) => sums.unpricedRequests,
    }),
    cost: t.field({
      type: 'USD',
      description: 'What they cost, exactly; without the unpriced ones.',
      resolve: ({ sums }) => sums.cost,
    }),
    averageCost: t.field({
      type: 'USD',
      nullable: true,
      description: 'Cost of one, over those that have a price, rounded to 12 decimals. Null: there are none.',
      resolve: ({ sums }) => averageCost(sums.cost, sums.requests - sums.unpricedRequests),
    }),
    monthlyRequests: t.expose('monthlyRequests', {
      type: 'BigInt',
      description: 'Calls in 30 days, if they go on like in the span.',
    }),
    monthlyCost: t.expose('monthlyCost', {
      type: 'USD',
      nullable: true,
      description: 'What those would cost, where unpriced ones cost as much as the others. Null: no call has a price.',
    }),
    savings: t.field({
      type: [VariantSaving],
      description: 'What moving its requests to each other variant would save.',
      resolve: ({ savings }) => [...savings],
    }),
  }),
});

export const CostAnalysis = builder.objectRef<CostAnalysisView>('CostAnalysis').implement({
  description: 'What the targets of a route cost in a span of time, and would cost in a month. Admins only.',
  fields: (t) => ({
    ...reportFields(t),
    measuredDays: t.float({
      description:
        'What the month is projected from: the days from the first request in the span to its end, or to now. 0: there were none.',
      resolve: ({ measuredMs }) => measuredMs / DAY_MS,
    }),
    requests: t.field({
      type: 'BigInt',
      description: 'Upstream calls that went to any of the targets.',
      resolve: (costs) => sum(costs, ({ requests }) => requests),
    }),
    unpricedRequests: t.field({
      type: 'BigInt',
      description: UNPRICED,
      resolve: (costs) => sum(costs, ({ unpricedRequests }) => unpricedRequests),
    }),
    cost: t.field({
      type: 'USD',
      description: 'What they cost, exactly; without the unpriced ones.',
      resolve: (costs) => picodollars(sum(costs, ({ cost }) => cost)),
    }),
    monthlyCost: t.field({
      type: 'USD',
      nullable: true,
      description: 'The sum of the targets’ monthly costs. Null: that of one with requests is unknown.',
      resolve: ({ variants }) => totalOf(variants),
    }),
    variants: t.field({
      type: [VariantCostType],
      description: 'The targets of the route, in the order of their priority.',
      resolve: ({ variants }) => [...variants],
    }),
  }),
});

function sum({ variants }: RouteCosts, of: (sums: DatedSums) => bigint): bigint {
  return variants.reduce((total, { sums }) => total + of(sums), 0n);
}
