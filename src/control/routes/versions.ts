import { Prisma, type RouteVersion } from '../../generated/prisma/client.ts';
import { type Page, type PageArgs, readSortedPage } from '../schema/connections.ts';
import type { Context } from '../schema/context.ts';
import { readTogether } from '../schema/read-together.ts';

/**
 * The versions of one route, newest first. For a list of routes the pages of all are read at once.
 * @throws ValidationError for a wrong page size or cursor.
 */
export function routeVersionsPage(context: Context, routeId: string, args: PageArgs): Promise<Page<RouteVersion>> {
  return readSortedPage(args, {
    order: 'VERSION DESC',
    isValue: (value) => /^\d{1,9}$/.test(value),
    positionOf: ({ version, routeId: id }) => ({ value: `${version}`, id }),
    rows: async (after, limit) => {
      const before = after?.value == null ? null : Number(after.value);
      const read = (ids: string[]) => readVersionsOfEach(context, ids, before, limit);
      return (await readTogether(context, `route versions ${before} ${limit}`, routeId, read)) ?? [];
    },
    count: async () =>
      (await readTogether(context, 'route version count', routeId, (ids) => countVersionsOfEach(context, ids))) ?? 0,
  });
}

/** @param before only those with lower numbers; null: from the newest on */
async function readVersionsOfEach(
  { services: { prisma } }: Context,
  routeIds: string[],
  before: number | null,
  limit: number,
): Promise<Map<string, RouteVersion[]>> {
  const older = before === null ? Prisma.sql`true` : Prisma.sql`v.version < ${before}`;
  const rows = await prisma.$queryRaw<RouteVersion[]>`
    SELECT page.* FROM unnest(${routeIds}::uuid[]) AS wanted(id)
     CROSS JOIN LATERAL (
       SELECT v.route_id AS "routeId", v.version, v.content, v.changed_by AS "changedBy", v.created_at AS "createdAt"
         FROM route_versions v WHERE v.route_id = wanted.id AND ${older} ORDER BY v.version DESC LIMIT ${limit}
     ) AS page ORDER BY page.version DESC`;
  const lists = new Map(routeIds.map((id) => [id, [] as RouteVersion[]]));
  for (const row of rows) lists.get(row.routeId)?.push(row);
  return lists;
}

async function countVersionsOfEach(
  { services: { prisma } }: Context,
  routeIds: string[],
): Promise<Map<string, number>> {
  const counts = await prisma.routeVersion.groupBy({
    by: ['routeId'],
    where: { routeId: { in: routeIds } },
    _count: true,
  });
  return new Map(counts.map(({ routeId, _count }) => [routeId, _count]));
}
