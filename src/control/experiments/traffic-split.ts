import { ConflictError, ProviderNotFoundError, RouteNotFoundError, ValidationError } from '../../platform/errors.ts';
import { byName, Route, readRoute } from '../routes/routes.ts';
import { builder } from '../schema/builder.ts';
import { directOutcome } from '../schema/result.ts';
import { setTrafficSplit } from './set-traffic-split.ts';
import { TrafficSplit } from './traffic-split-type.ts';

const TrafficSplitTargetInput = builder.inputType('TrafficSplitTargetInput', {
  description: 'A target with its share. One with the same provider and models that is there already stays the same.',
  fields: (t) => ({
    provider: t.id({ required: true, description: 'The provider’s id or slug.' }),
    models: t.stringList({
      description:
        'Names of that provider’s models, up to 100, in order of preference. Default: all enabled ones of its provider; the first one unless the target’s strategy says otherwise; the others stand in last.',
    }),
    percentage: t.int({ required: true, description: 'Its share of the requests, 0 to 100. 0: none at all.' }),
    metadata: t.field({ type: 'JSON', description: 'What callers want to keep with it. Default: as it was, or `{}`.' }),
  }),
});

const SetTrafficSplit = builder.inputType('SetTrafficSplitInput', {
  description: 'A route’s new traffic split.',
  fields: (t) => ({
    routeId: t.id({ required: true, description: 'The route’s id, slug or alias.' }),
    targets: t.field({
      type: [TrafficSplitTargetInput],
      required: true,
      description: 'All targets of the route, 1 to 50, each once; the sum of their percentages is exactly 100.',
    }),
    version: t.int({
      description: 'The route’s `version` that the change is based on. A stale one is refused. Default: any.',
    }),
  }),
});

const SetTrafficSplitSuccess = builder.objectRef<{ routeId: string }>('SetTrafficSplitSuccess').implement({
  description: 'The traffic is split like this now.',
  fields: (t) => ({
    trafficSplit: t.prismaField({
      type: TrafficSplit,
      description: 'The new split.',
      resolve: (query, { routeId }, _args, { services }) => readRoute(services.prisma, query, routeId),
    }),
    route: t.prismaField({
      type: Route,
      description: 'The route as it is now.',
      resolve: (query, { routeId }, _args, { services }) => readRoute(services.prisma, query, routeId),
    }),
  }),
});

builder.queryFields((t) => ({
  trafficSplit: t.prismaField({
    type: TrafficSplit,
    nullable: true,
    authScopes: { admin: true },
    description:
      'How a route shares out its requests among its targets; null when there is no such route. Admins only.',
    args: { routeId: t.arg.id({ required: true, description: 'The route’s id, slug or alias.' }) },
    resolve: (query, _root, { routeId }, { services }) =>
      services.prisma.route.findFirst({ ...query, where: byName(routeId) }),
  }),
}));

builder.mutationFields((t) => ({
  setTrafficSplit: t.field({
    type: SetTrafficSplitSuccess,
    authScopes: { admin: true },
    description:
      'Splits a route’s requests among targets by whole percentages: in every block of 100 picks of a server, each gets exactly its percentage. Makes the strategy WEIGHTED; the mode stays. On the route `default` it takes over from the active provider, until `activateProvider` clears it. Admins only.',
    args: { input: t.arg({ type: SetTrafficSplit, required: true, description: 'Which route, and the split.' }) },
    errors: directOutcome(ValidationError, RouteNotFoundError, ProviderNotFoundError, ConflictError),
    resolve: async (_root, { input }, { services, caller }) => ({
      routeId: await setTrafficSplit(services, caller, input),
    }),
  }),
}));
