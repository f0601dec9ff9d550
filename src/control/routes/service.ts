import type { Caller } from '../../gateway/admission/caller.ts';
import { DEFAULT_ROUTE } from '../../gateway/routing/resolve.ts';
import type { Route } from '../../generated/prisma/client.ts';
import { invalid } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { changeConfiguration } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { parseInput } from '../schema/parse-input.ts';
import type { Wanted } from '../schema/read-back.ts';
import { requireVersion } from '../schema/require-version.ts';
import { requireFreeNames, slugOf } from '../schema/slugs.ts';
import { requireConsistent, requireDefaultServes } from './checks.ts';
import { type CreateRouteInput, createRouteInput, type UpdateRouteInput, updateRouteInput } from './input.ts';
import { findRoute, readRoute } from './lookup.ts';
import { findTargets, mergeTargets, replaceTargets } from './targets.ts';

type RouteServices = Pick<Services, 'prisma' | 'snapshots'>;

/**
 * @returns the new route's id.
 * @throws ValidationError, ProviderNotFoundError, ConflictError when its slug or an alias is taken.
 */
export async function createRoute(services: RouteServices, caller: Caller, input: CreateRouteInput): Promise<string> {
  const wanted = parseInput(createRouteInput, input);
  const route = {
    id: uuidv7(),
    slug: wanted.slug ?? slugOf(wanted.name, 'route'),
    name: wanted.name,
    aliases: wanted.aliases ?? [],
    description: wanted.description ?? null,
    mode: wanted.mode ?? 'AUTO',
    strategy: wanted.strategy ?? 'FAILOVER',
    isActive: wanted.isActive ?? true,
  };
  await changeConfiguration(services, caller, async (tx, record) => {
    const targets = mergeTargets([], await findTargets(tx, services, wanted.targets ?? []));
    requireConsistent({ ...route, targets });
    await requireFreeNames(tx, [route.slug, ...route.aliases]);
    await tx.route.create({ data: route });
    await replaceTargets(tx, route.id, targets);
    record({ action: 'CREATED', subject: 'ROUTE', id: route.id, name: route.slug });
  });
  return route.id;
}

/**
 * Changes the fields that the input names.
 * @returns the route's id.
 * @throws ValidationError, RouteNotFoundError, ProviderNotFoundError, ConflictError when the version is stale, or the
 *   slug or an alias is taken.
 */
export async function updateRoute(services: RouteServices, caller: Caller, input: UpdateRouteInput): Promise<string> {
  const wanted = parseInput(updateRouteInput, input);
  return changeConfiguration(services, caller, async (tx, record) => {
    const old = await findRoute(tx, services, wanted.id);
    requireVersion(`route "${old.slug}"`, old.version, wanted.version);
    const route = {
      slug: wanted.slug ?? old.slug,
      name: wanted.name ?? old.name,
      aliases: wanted.aliases ?? old.aliases,
      description: wanted.description === undefined ? old.description : wanted.description,
      mode: wanted.mode ?? old.mode,
      strategy: wanted.strategy ?? old.strategy,
      isActive: wanted.isActive ?? old.isActive,
    };
    const targets = wanted.targets && mergeTargets(old.targets, await findTargets(tx, services, wanted.targets));
    requireDefaultServes(old, route.slug, route.isActive);
    requireConsistent({ ...route, targets: targets ?? old.targets });
    await requireFreeNames(tx, [route.slug, ...route.aliases], old.id);
    await tx.route.update({ where: { id: old.id }, data: { ...route, version: { increment: 1 } } });
    if (targets) await replaceTargets(tx, old.id, targets);
    record({ action: 'UPDATED', subject: 'ROUTE', id: old.id, name: route.slug });
    return old.id;
  });
}

/**
 * Deletes a route with its targets. API keys that are limited to it are not changed: they can use nothing by it.
 * @param query what is to be read of the route before it is gone
 * @returns the route as it was.
 * @throws RouteNotFoundError, ValidationError for the route `default`.
 */
export async function deleteRoute(
  services: RouteServices,
  caller: Caller,
  idOrName: string,
  query: Wanted,
): Promise<Route> {
  return changeConfiguration(services, caller, async (tx, record) => {
    const { id, slug } = await findRoute(tx, services, idOrName);
    if (slug === DEFAULT_ROUTE) {
      const message = 'The route "default" cannot be deleted: it serves requests that name no model.';
      throw invalid('id', message);
    }
    const route = await readRoute(tx, query, id);
    await tx.route.delete({ where: { id } });
    record({ action: 'DELETED', subject: 'ROUTE', id, name: slug });
    return route;
  });
}
