import { RouteNotFoundError } from '../../platform/errors.ts';
import { publishEvent } from '../../platform/events/feed.ts';
import { builder } from '../schema/builder.ts';
import type { Services } from '../schema/context.ts';
import { directOutcome } from '../schema/result.ts';
import { findRoute } from './lookup.ts';

/** What every server is told. */
interface Clearing {
  routeId: string;
}

const ClearResponseCache = builder.inputType('ClearResponseCacheInput', {
  description: 'Whose cached answers are to be dropped.',
  fields: (t) => ({
    routeId: t.id({ required: true, description: 'The route’s id, slug or alias.' }),
  }),
});

const ClearResponseCacheSuccess = builder.objectRef<{ cleared: number }>('ClearResponseCacheSuccess').implement({
  description: 'The cached answers were dropped.',
  fields: (t) => ({
    cleared: t.exposeInt('cleared', {
      description: 'How many the server that answers had. The others have dropped theirs within a second.',
    }),
  }),
});

builder.mutationField('clearResponseCache', (t) =>
  t.field({
    type: ClearResponseCacheSuccess,
    authScopes: { admin: true },
    description:
      'Drops the cached answers of a route on every server. A change of the route does so by itself. Admins only.',
    args: { input: t.arg({ type: ClearResponseCache, required: true, description: 'Which route.' }) },
    errors: directOutcome(RouteNotFoundError),
    resolve: async (_root, { input }, { services }) => ({ cleared: await clearResponseCache(services, input.routeId) }),
  }),
);

/**
 * @returns how many answers this server dropped.
 * @throws RouteNotFoundError
 */
async function clearResponseCache(
  services: Pick<Services, 'prisma' | 'snapshots' | 'gateway'>,
  idOrName: string,
): Promise<number> {
  const { id } = await findRoute(services.prisma, services, idOrName);
  const cleared = services.gateway.clearResponseCache(id);
  await publishEvent(services.prisma, 'RESPONSE_CACHE', { routeId: id } satisfies Clearing);
  return cleared;
}

/** Drops what is cleared on any server. Ends when `signal` aborts. */
export async function followClearings(
  { feed, gateway }: Pick<Services, 'feed' | 'gateway'>,
  signal: AbortSignal,
): Promise<void> {
  for await (const { payload } of feed.subscribe('RESPONSE_CACHE', { overflow: 'END' }, signal))
    gateway.clearResponseCache((payload as Clearing).routeId);
}
