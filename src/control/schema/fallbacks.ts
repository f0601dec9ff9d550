import { Prisma } from '../../generated/prisma/client.ts';
import { ConflictError } from '../../platform/errors.ts';
import type { Transaction } from './change-configuration.ts';
import { listNames } from './list-names.ts';

/** The names of a route that are about to go. Its own fallbacks do not count. */
export function requireNoFallbackOnRoute(tx: Transaction, routeId: string, names: readonly string[]): Promise<void> {
  const isMeant = names.map((name) => Prisma.sql`name = ${name}`);
  return requireNone(tx, listNames(names), Prisma.sql`r.id <> ${routeId}::uuid`, isMeant);
}

/** A provider's slug that is about to go, and with it `<slug>/<model>`. */
export function requireNoFallbackOnProvider(tx: Transaction, slug: string): Promise<void> {
  return requireNone(tx, `the provider "${slug}"`, Prisma.sql`true`, [Prisma.sql`starts_with(name, ${`${slug}/`})`]);
}

/** A model that is about to go, if it is the last one of its name. */
export function requireNoFallbackOnModel(tx: Transaction, { id, name }: { id: string; name: string }): Promise<void> {
  const isLast = Prisma.sql`NOT EXISTS (SELECT FROM models m WHERE m.name = ${name} AND m.id <> ${id}::uuid)`;
  return requireNone(tx, `the model "${name}"`, isLast, [Prisma.sql`name = ${name}`]);
}

/**
 * One statement; none if nothing is meant.
 * @throws ConflictError that names the routes.
 */
async function requireNone(tx: Transaction, what: string, condition: Prisma.Sql, isMeant: Prisma.Sql[]): Promise<void> {
  if (isMeant.length === 0) return;
  const routes = await tx.$queryRaw<{ slug: string }[]>`
    SELECT r.slug FROM routes r
     WHERE ${condition} AND EXISTS (SELECT FROM unnest(r.fallbacks) AS name WHERE ${Prisma.join(isMeant, ' OR ')})
     ORDER BY r.slug`;
  if (routes.length === 0) return;
  const others = listNames(routes.map(({ slug }) => slug));
  throw new ConflictError(`Routes fall back on ${what}: ${others}. Change their fallbacks first.`);
}
