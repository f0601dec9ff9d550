import { IN_ORDER, percentageOf, Route, RouteStrategyEnum, RouteTarget, WEIGHED } from '../routes/routes.ts';
import { builder } from '../schema/builder.ts';

const TrafficSplitTarget = builder.prismaObject('RouteTarget', {
  variant: 'TrafficSplitTarget',
  description: 'A target with its share of its route’s requests.',
  fields: (t) => ({
    target: t.variant(RouteTarget, { description: 'The target.' }),
    percentage: t.float({
      nullable: true,
      description: 'Its share in percent. Null: the route does not split its requests by weight.',
      select: WEIGHED,
      resolve: percentageOf,
    }),
  }),
});

export const TrafficSplit = builder.prismaObject('Route', {
  variant: 'TrafficSplit',
  description: 'How a route shares out its requests among its targets. Admins only.',
  fields: (t) => ({
    route: t.variant(Route, { description: 'The route.' }),
    strategy: t.expose('strategy', {
      type: RouteStrategyEnum,
      description: 'How the route picks a target; `setTrafficSplit` makes it WEIGHTED.',
    }),
    isSplit: t.boolean({
      description: 'Whether requests are shared out by percentages: the strategy is WEIGHTED.',
      select: { strategy: true },
      resolve: ({ strategy }) => strategy === 'WEIGHTED',
    }),
    targets: t.relation('targets', {
      type: TrafficSplitTarget,
      description: 'All targets of the route, in the order of their priority.',
      query: IN_ORDER,
    }),
  }),
});
