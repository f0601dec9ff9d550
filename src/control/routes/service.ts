import type { Caller } from '../../gateway/admission/caller.ts';
import { DEFAULT_ROUTE } from '../../gateway/routing/resolve.ts';
import type { Route } from '../../generated/prisma/client.ts';
import { invalid } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { changeConfiguration } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { requireNoFallbackOnRoute } from '../schema/fallbacks.ts';
import { parseInput } from '../schema/parse-input.ts';
import type { Wanted } from '../schema/read-back.ts';
import { requireVersion } from '../schema/require-version.ts';
import { requireFreeNames, slugOf } from '../schema/slugs.ts';
import { requireConsistent, requireDefaultServes } from './checks.ts';
import { changed, newRoute, type RouteColumns } from './columns.ts';
import { requireResolvable } from './fallbacks.ts';
import { type CreateRouteInput, createRouteInput, type UpdateRouteInput, updateRouteInput } from './input.ts';
import { findRoute, readRoute } from './lookup.ts';
import { divideSlots, findTargets, hasNoSlots, mergeTargets, replaceTargets } from './targets.ts';

type RouteServices = Pick<Services, 'prisma' | 'snapshots'>;

/**
 * @returns the new route's id.
 * @throws ValidationError, ProviderNotFoundError, ConflictError when its slug or an alias is taken.
 */
export async function createRoute(services: RouteServices, caller: Caller, input: CreateRouteInput): Promise<string> {
  const wanted = parseInput(createRouteInput, input);
  const id = uuidv7();
  const route = changed(newRoute(slugOf(wanted.name, 'route'), wanted.name), wanted);
  await changeConfiguration(services, caller, async (tx, record) => {
    const targets = mergeTargets([], await findTargets(tx, services, wanted.targets ?? []));
    requireConsistent(route, targets, wanted);
    await requireFreeNames(tx, [route.slug, ...route.aliases]);
    await requireResolvable(tx, services, route.fallbacks);
    await tx.route.create({ data: { id, ...route } });
    await replaceTargets(tx, id, targets);
    record({ action: 'CREATED', subject: 'ROUTE', id, name: route.slug });
  });
  return id;
}

/**
 * Changes the fields that the input names.
 * @returns the route's id.
 * @throws ValidationError, RouteNotFoundError, ProviderNotFoundError, ConflictError when the version is stale, the slug
 *   or an alias taken, or a name goes by which other routes fall back on it.
 */
export async function updateRoute(services: RouteServices, caller: Caller, input: UpdateRouteInput): Promise<string> {
  const wanted = parseInput(updateRouteInput, input);
  return changeConfiguration(services, caller, async (tx, record) => {
    const { targets: oldTargets, ...old } = await findRoute(tx, services, wanted.id);
    requireVersion(`route "${old.slug}"`, old.version, wanted.version);
    const route = changed(old as RouteColumns, wanted);
    const targets = wanted.targets && mergeTargets(oldTargets, await findTargets(tx, services, wanted.targets));
    requireDefaultServes(old, route.slug, route.isActive);
    requireConsistent(route, targets ?? oldTargets, wanted);
    const names = [route.slug, ...route.aliases];
    await requireFreeNames(tx, names, old.id);
    const gone = [old.slug, ...old.aliases].filter((name) => !names.includes(name));
    await requireNoFallbackOnRoute(tx, old.id, gone);
    await requireResolvable(tx, services, wanted.fallbacks ?? []);
    await tx.route.update({ where: { id: old.id }, data: { ...route, version: { increment: 1 } } });
    if (targets || hasNoSlots(oldTargets)) await replaceTargets(tx, old.id, targets ?? divideSlots(oldTargets));
    record({ action: 'UPDATED', subject: 'ROUTE', id: old.id, name: route.slug });
    return old.id;
  });
}

/**
 * Deletes a route with its targets. API keys that are limited to it are not changed: they can use nothing by it.
 * @param query what is to be read of the route before it is gone
 * @returns the route as it was.
 * @throws RouteNotFoundError, ValidationError for the route `default`, ConflictError while others fall back on it.
 */
export async function deleteRoute(
  services: RouteServices,
  caller: Caller,
  idOrName: string,
  query: Wanted,
): Promise<Route> {
  return changeConfiguration(services, caller, async (tx, record) => {
    const { id, slug, aliases } = await findRoute(tx, services, idOrName);
    if (slug === DEFAULT_ROUTE) {
      const message = 'The route "default" cannot be deleted: it serves requests that name no model.';
      throw invalid('id', message);
    }
    await requireNoFallbackOnRoute(tx, id, [slug, ...aliases]);
    const route = await readRoute(tx, query, id);
    await tx.route.delete({ where: { id } });
    record({ action: 'DELETED', subject: 'ROUTE', id, name: slug });
    return route;
  });
}
