import { Prisma } from '../../generated/prisma/client.ts';
import type { Transaction } from './change-configuration.ts';

/** As the gateway goes through the targets of a route. */
export const IN_ORDER = {
  orderBy: [{ priority: 'asc' }, { position: 'asc' }, { id: 'asc' }],
} satisfies Prisma.Route$targetsArgs;

/** How many versions of a route are kept. */
const KEPT = 1_000;

/**
 * Keeps these routes as they are now, and forgets their oldest versions. A version that is kept already stays as it is.
 * Four statements, however many; none without routes.
 * @param changedBy the user; null: nobody
 */
export async function keepVersions(tx: Transaction, routeIds: string[], changedBy: string | null): Promise<void> {
  if (routeIds.length === 0) return;
  const routes = await tx.route.findMany({
    where: { id: { in: routeIds } },
    include: {
      targets: { ...IN_ORDER, omit: { routeId: true } },
    },
  });
  await tx.routeVersion.createMany({
    data: routes.map(({ createdAt: _createdAt, updatedAt: _updatedAt, ...content }) => ({
      routeId: content.id,
      version: content.version,
      content: content as unknown as Prisma.InputJsonObject,
      changedBy,
    })),
    skipDuplicates: true,
  });
  await tx.$executeRaw`
    DELETE FROM route_versions kept USING routes r
     WHERE kept.route_id = r.id AND r.id IN (${Prisma.join(routeIds.map((id) => Prisma.sql`${id}::uuid`))})
       AND kept.version <= r.version - ${KEPT}`;
}
