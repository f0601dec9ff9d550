import { byName, IN_ORDER, percentageOf } from '../routes/routes.ts';
import type { Services } from '../schema/context.ts';

/** A target of a route, as experiments look at it. */
export interface Variant {
  /** The target's id. */
  id: string;
  /** `A`, `B` … in the order of the route's targets. */
  label: string;
  /** Slug of its provider; null: it is gone. */
  provider: string | null;
  models: readonly string[];
  /** Its share of the requests; null: the route does not split them. */
  percentage: number | null;
}

/** A route as experiments look at it. */
export interface Experiment {
  routeId: string;
  variants: readonly Variant[];
}

/** A route's targets in the order of their priority; null: there is no such route. */
export async function readExperiment(
  { prisma, snapshots }: Pick<Services, 'prisma' | 'snapshots'>,
  routeName: string,
): Promise<Experiment | null> {
  const route = await prisma.route.findFirst({
    where: byName(routeName),
    include: { targets: IN_ORDER },
  });
  if (!route) return null;
  const { providersById } = snapshots.current;
  const variants = route.targets.map((target, index) => ({
    id: target.id,
    label: labelOf(index),
    provider: providersById.get(target.providerId)?.slug ?? null,
    models: target.models,
    percentage: percentageOf({ weight: target.weight, route }),
  }));
  return { routeId: route.id, variants };
}

/** 0 → `A`, 25 → `Z`, 26 → `AA`. */
function labelOf(index: number): string {
  const letter = String.fromCharCode(65 + (index % 26));
  return index < 26 ? letter : labelOf(Math.floor(index / 26) - 1) + letter;
}

/** A variant as people call it: `B (groq, llama-3.3-70b)`. */
export function nameOf({ label, provider, models }: Variant): string {
  const parts = [provider ?? 'a provider that is gone', ...models.slice(0, 1)];
  return `${label} (${parts.join(', ')}${models.length > 1 ? ' …' : ''})`;
}
