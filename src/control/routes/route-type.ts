import { DEFAULT_ROUTE } from '../../gateway/routing/resolve.ts';
import type { Snapshot } from '../../gateway/snapshot/snapshot.ts';
import { Provider } from '../providers/providers.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import { listComplexity } from '../schema/list-complexity.ts';
import { percentageOf, WEIGHED } from './percentage.ts';

export const RouteModeEnum = enumOf('RouteMode', 'What a client may say after a route’s name.', {
  AUTO: 'Nothing: the strategy picks the target.',
  SPECIFIC:
    'A hint: `<route>/<provider>`, `<route>/<model>` or `<route>/<provider>/<model>` narrows the targets, and the strategy picks among those.',
  MULTI:
    'Nothing. Targets of the same priority are a group: the strategy picks within the first group, and the next group stands in once all of it has failed.',
});

export const RouteStrategyEnum = enumOf(
  'RouteStrategy',
  'How a route picks one of its targets that can be used now. When the pick fails, the others stand in.',
  {
    FAILOVER: 'The first by priority; the next ones stand in.',
    ROUND_ROBIN: 'Each in turn, on every server by itself; those that follow in the rotation stand in.',
    WEIGHTED:
      'The traffic split: each exactly as often as its weight says, on every server by itself; the heaviest others stand in. What cannot be used leaves its share to the others. Weight 0 gets nothing.',
    COST: 'The cheapest first, by blended price: three parts input, one part output. Those without a price come last.',
    LATENCY:
      'The fastest first, by the live median on every server by itself. One that is not known yet gets a share of the requests until it is.',
    BALANCED: 'The best first by cost (40%), latency (40%) and quality (20%), each relative to the other candidates.',
    CUSTOM: 'The best first by cost, latency and quality, by the route’s own weights.',
  },
);

export const Route = builder.prismaObject('Route', {
  description: 'A named virtual model: clients put its slug or an alias in `model`. Admins only.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    slug: t.exposeString('slug', { description: 'Its name in `model`.' }),
    name: t.exposeString('name', { description: 'The name for people.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for. Null: not said.' }),
    aliases: t.exposeStringList('aliases', { description: 'Its other names in `model`.' }),
    mode: t.expose('mode', { type: RouteModeEnum, description: 'Whether a hint picks the provider or model.' }),
    strategy: t.expose('strategy', {
      type: RouteStrategyEnum,
      description: 'How a target is picked. Without targets it makes no difference.',
    }),
    isActive: t.exposeBoolean('isActive', { description: 'Whether clients can use it.' }),
    isDefault: t.boolean({
      description: 'Whether it is the one for requests that name no model.',
      select: { slug: true },
      resolve: ({ slug }) => slug === DEFAULT_ROUTE,
    }),
    version: t.exposeInt('version', { description: 'Goes up with each change; give it to `updateRoute`.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was changed last.' }),
    targets: t.relation('targets', {
      description:
        'Where it sends, in the order of their priority. Empty: to the active provider, then to the others by priority.',
      complexity: listComplexity(targetsOfRoute),
      query: { orderBy: [{ priority: 'asc' }, { position: 'asc' }, { id: 'asc' }] },
    }),
  }),
});

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
        'Names of that provider’s models, in the order in which they are tried. Empty: its first enabled one; with a hint, all of its enabled ones.',
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

/** How many a route has on average. */
function targetsOfRoute({ routes }: Snapshot): number {
  const all = [...new Set(routes.values())];
  return all.reduce((sum, { targets }) => sum + targets.length, 0) / Math.max(1, all.length);
}
