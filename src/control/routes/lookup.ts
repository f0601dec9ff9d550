import { nearestNames } from '../../gateway/routing/nearest.ts';
import type { Prisma, Route, RouteTarget } from '../../generated/prisma/client.ts';
import { RouteNotFoundError, shorten } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { readBack, type Wanted } from '../schema/read-back.ts';

/** As the gateway goes through the targets of a route. */
export const IN_ORDER = {
  orderBy: [{ priority: 'asc' }, { position: 'asc' }, { id: 'asc' }],
} satisfies Prisma.Route$targetsArgs;

/** How Prisma finds a route by id, slug or alias; none of them looks like another's. */
export function byName(idOrName: string): Prisma.RouteWhereInput {
  if (isUuid(idOrName)) return { id: idOrName };
  const name = storable(idOrName);
  return { OR: [{ slug: name }, { aliases: { has: name } }] };
}

/**
 * The route with this id, slug or alias, with its targets in their order.
 * @throws RouteNotFoundError
 */
export async function findRoute(
  tx: Transaction,
  { snapshots }: Pick<Services, 'snapshots'>,
  idOrName: string,
): Promise<Route & { targets: RouteTarget[] }> {
  const route = await tx.route.findFirst({ where: byName(idOrName), include: { targets: IN_ORDER } });
  if (route) return route;
  const nearest = nearestNames(idOrName, snapshots.current.routes.keys());
  const hint = nearest.length > 0 ? ` Did you mean ${nearest.join(', ')}?` : '';
  throw new RouteNotFoundError(`There is no route "${shorten(idOrName)}".${hint}`);
}

/**
 * A route after a change, with what the client asked for.
 * @throws ConflictError when somebody deleted it meanwhile.
 */
export function readRoute(prisma: Transaction, wanted: Wanted, id: string): Promise<Route> {
  return readBack('route', wanted, (query) => prisma.route.findUnique({ ...query, where: { id } }));
}
