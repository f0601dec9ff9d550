import { Provider } from '../providers/providers.ts';
import { builder } from '../schema/builder.ts';
import { ModelStrategyEnum } from './enums.ts';
import { percentageOf, WEIGHED } from './percentage.ts';

export const RouteTarget = builder.prismaObject('RouteTarget', {
  description: 'One place that a route sends to; in an experiment, a variant. Admins only.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'A UUIDv7. It stays the same as long as the route has a target with this provider and these models.',
    }),
    provider: t.prismaField({
      type: Provider,
      nullable: true,
      description: 'The provider it sends to. Null: it is gone, and the target is skipped.',
      // Prisma reads what is asked for in one turn of the event loop together.
      select: { providerId: true },
      resolve: (query, { providerId }, _args, { services }) =>
        services.prisma.provider.findUnique({ ...query, where: { id: providerId } }),
    }),
    models: t.exposeStringList('models', {
      description:
        'Names of that provider’s models, in order of preference. Empty: all enabled ones of its provider, in their order.',
    }),
    strategy: t.expose('strategy', {
      type: ModelStrategyEnum,
      description: 'How one of these models is picked; the others stand in last.',
    }),
    priority: t.exposeInt('priority', { description: 'Lower is tried earlier.' }),
    weight: t.exposeInt('weight', {
      description: 'Its share under the strategy WEIGHTED, relative to the others’. 0: none at all.',
    }),
    percentage: t.float({
      nullable: true,
      description: 'Its share of the route’s requests under the strategy WEIGHTED, in percent. Null under the others.',
      select: WEIGHED,
      resolve: percentageOf,
    }),
    metadata: t.field({
      type: 'JSON',
      description: 'What callers keep with it.',
      select: { metadata: true },
      resolve: ({ metadata }) => metadata,
    }),
  }),
});
