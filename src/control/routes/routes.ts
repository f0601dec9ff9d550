import { ConflictError, ProviderNotFoundError, RouteNotFoundError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { listComplexity } from '../schema/list-complexity.ts';
import { outcome } from '../schema/result.ts';
import { CreateRoute, UpdateRoute } from './input-types.ts';
import { byName, readRoute } from './lookup.ts';
import { Route } from './route-type.ts';
import './explain.ts';
import './response-cache.ts';
import './select.ts';
import { createRoute, deleteRoute, updateRoute } from './service.ts';

export { IN_ORDER } from '../schema/route-versions.ts';
export { NO_SCORE_WEIGHTS } from './columns.ts';
export { RouteStrategyEnum } from './enums.ts';
export { MOST_TARGETS, targetInput } from './input.ts';
export { byName, findRoute, readRoute } from './lookup.ts';
export { percentageOf, WEIGHED } from './percentage.ts';
export { followClearings } from './response-cache.ts';
export { Route } from './route-type.ts';
export { RouteTarget } from './target-type.ts';
export { findTargets, mergeTargets, replaceTargets, type WantedTarget } from './targets.ts';

builder.queryFields((t) => ({
  routes: t.prismaField({
    type: [Route],
    authScopes: { admin: true },
    description: 'All routes, by their slugs. Admins only.',
    complexity: listComplexity(({ routes }) => new Set(routes.values()).size),
    resolve: (query, _root, _args, { services }) =>
      services.prisma.route.findMany({ ...query, orderBy: { slug: 'asc' } }),
  }),
  route: t.prismaField({
    type: Route,
    nullable: true,
    authScopes: { admin: true },
    description: 'One route; null when there is none. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'Its id, its slug or one of its aliases.' }) },
    resolve: (query, _root, { id }, { services }) => services.prisma.route.findFirst({ ...query, where: byName(id) }),
  }),
}));

builder.mutationFields((t) => ({
  createRoute: t.prismaField({
    type: Route,
    authScopes: { admin: true },
    description: 'Adds a route with its targets. Admins only.',
    args: { input: t.arg({ type: CreateRoute, required: true, description: 'What it shall be.' }) },
    errors: outcome('route', 'The new route.', ValidationError, ProviderNotFoundError, ConflictError),
    resolve: async (query, _root, { input }, { services, caller }) => {
      const id = await createRoute(services, caller, input);
      return readRoute(services.prisma, query, id);
    },
  }),
  updateRoute: t.prismaField({
    type: Route,
    authScopes: { admin: true },
    description: 'Changes a route, or replaces its targets. Admins only.',
    args: { input: t.arg({ type: UpdateRoute, required: true, description: 'Which one, and what changes.' }) },
    errors: outcome(
      'route',
      'The route as it is now.',
      ValidationError,
      RouteNotFoundError,
      ProviderNotFoundError,
      ConflictError,
    ),
    resolve: async (query, _root, { input }, { services, caller }) => {
      const id = await updateRoute(services, caller, input);
      return readRoute(services.prisma, query, id);
    },
  }),
  deleteRoute: t.prismaField({
    type: Route,
    authScopes: { admin: true },
    description:
      'Deletes a route with its targets; what it did stays on the ledger. API keys that are limited to it lose it. Refused while another route falls back on it, and for the route `default`. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'Its id, its slug or one of its aliases.' }) },
    errors: outcome('route', 'The route as it was.', ValidationError, RouteNotFoundError, ConflictError),
    resolve: (query, _root, { id }, { services, caller }) => deleteRoute(services, caller, id, query),
  }),
}));
