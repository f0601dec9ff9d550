import { nearestNames } from '../../gateway/routing/nearest.ts';
import type { RouteEntry, Snapshot } from '../../gateway/snapshot/snapshot.ts';
import type { Prisma, Route, RouteTarget } from '../../generated/prisma/client.ts';
import { RouteNotFoundError, shorten } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { readBack, type Wanted } from '../schema/read-back.ts';
import { IN_ORDER } from '../schema/route-versions.ts';

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
  throw notFound(`There is no route "${shorten(idOrName)}".`, idOrName, snapshots.current);
}

/**
 * The route with this id, slug or alias as this server serves it.
 * @throws RouteNotFoundError when there is none, or it is switched off.
 */
export function servedRoute(snapshot: Snapshot, idOrName: string): RouteEntry {
  const { routes } = snapshot;
  const id = idOrName.toLowerCase();
  const route = routes.get(idOrName) ?? [...routes.values()].find((one) => one.id === id);
  if (route) return route;
  throw notFound(`There is no route "${shorten(idOrName)}" that is switched on.`, idOrName, snapshot);
}

function notFound(message: string, name: string, { routes }: Snapshot): RouteNotFoundError {
  const nearest = nearestNames(name, routes.keys());
  return new RouteNotFoundError(nearest.length > 0 ? `${message} Did you mean ${nearest.join(', ')}?` : message);
}

/**
 * A route after a change, with what the client asked for.
 * @throws ConflictError when somebody deleted it meanwhile.
 */
export function readRoute(prisma: Transaction, wanted: Wanted, id: string): Promise<Route> {
  return readBack('route', wanted, (query) => prisma.route.findUnique({ ...query, where: { id } }));
}
