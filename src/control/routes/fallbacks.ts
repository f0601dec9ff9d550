import { nearestNames } from '../../gateway/routing/nearest.ts';
import { ValidationError, type ValidationIssue } from '../../platform/errors.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';

/**
 * Refuses fallbacks that mean nothing: each names a route, `provider/model`, or a model of the catalog. Whether those are
 * switched on does not matter, for they may be by the time they are needed; and as in `model`, a provider knows models
 * that the catalog does not. Three statements, however many.
 * @throws ValidationError, at `fallbacks.<place>`
 */
export async function requireResolvable(
  tx: Transaction,
  { snapshots }: Pick<Services, 'snapshots'>,
  fallbacks: readonly string[],
): Promise<void> {
  if (fallbacks.length === 0) return;
  const names = [...fallbacks];
  const routes = await tx.route.findMany({
    where: { OR: [{ slug: { in: names } }, { aliases: { hasSome: names } }] },
    select: { slug: true, aliases: true },
  });
  const providers = await tx.provider.findMany({ where: { slug: { in: names.map(headOf) } }, select: { slug: true } });
  const models = await tx.model.findMany({
    where: { name: { in: names } },
    select: { name: true },
    distinct: ['name'],
  });
  const whole = new Set([
    ...routes.flatMap(({ slug, aliases }) => [slug, ...aliases]),
    ...models.map(({ name }) => name),
  ]);
  const heads = new Set(providers.map(({ slug }) => slug));
  const isKnown = (name: string) =>
    whole.has(name) || (heads.has(headOf(name)) && name.length > headOf(name).length + 1);
  const issues = fallbacks.flatMap((name, place): ValidationIssue[] => {
    if (isKnown(name)) return [];
    const { routes, modelsByName } = snapshots.current;
    const nearest = nearestNames(name, [...routes.keys(), ...modelsByName.keys()]);
    const hint = nearest.length > 0 ? ` Did you mean ${nearest.join(', ')}?` : '';
    return [{ path: `fallbacks.${place}`, message: `is no route, no provider/model and no model.${hint}` }];
  });
  if (issues.length > 0) throw new ValidationError(issues);
}

/** What is wrong with fallbacks that name their own route, alone or with a hint. */
export function selfReferences(fallbacks: readonly string[], ownNames: readonly string[]): ValidationIssue[] {
  return fallbacks.flatMap((name, place) =>
    ownNames.includes(name) || ownNames.includes(headOf(name))
      ? [{ path: `fallbacks.${place}`, message: 'must not be the route itself' }]
      : [],
  );
}

/** What stands before the first slash; without one, all of it. */
function headOf(name: string): string {
  return name.split('/', 1)[0] ?? '';
}
