import type { Comparison, Prisma } from '../../generated/prisma/client.ts';
import { invalid } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import { byName } from '../routes/routes.ts';
import type { PageSource } from '../schema/connections.ts';
import type { Services } from '../schema/context.ts';

/** Which judgements are meant; all that is given must fit. Null, absent or empty: any. */
export interface ComparisonFilter {
  /** Id, slug or alias. */
  routeId?: string | null | undefined;
  variant?: string | null | undefined;
  winner?: Comparison['winner'] | null | undefined;
  judge?: Comparison['judge'] | null | undefined;
}

/**
 * Judgements, newest first. The judgements of a route that is gone are still found by its id.
 * @throws ValidationError for a malformed id of a variant.
 */
export async function listComparisons(
  { prisma }: Pick<Services, 'prisma'>,
  { routeId, variant, winner, judge }: ComparisonFilter,
): Promise<PageSource<Comparison>> {
  if (variant && !isUuid(variant)) throw invalid('filter.variant', 'is not an id');
  const where: Prisma.ComparisonWhereInput = {
    ...(routeId ? { routeId: { in: await idsOf(prisma, routeId) } } : {}),
    ...(variant ? { OR: [{ targetAId: variant }, { targetBId: variant }] } : {}),
    ...(winner ? { winner } : {}),
    ...(judge ? { judge } : {}),
  };
  return {
    rows: (after, limit) =>
      prisma.comparison.findMany({
        where: after ? { ...where, id: { lt: after } } : where,
        orderBy: { id: 'desc' },
        take: limit,
      }),
    count: () => prisma.comparison.count({ where }),
  };
}

async function idsOf(prisma: Services['prisma'], routeName: string): Promise<string[]> {
  if (isUuid(routeName)) return [routeName];
  const route = await prisma.route.findFirst({ where: byName(routeName), select: { id: true } });
  return route ? [route.id] : [];
}
