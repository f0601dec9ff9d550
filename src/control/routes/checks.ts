import { DEFAULT_ROUTE } from '../../gateway/routing/resolve.ts';
import type { Route } from '../../generated/prisma/client.ts';
import { ValidationError, type ValidationIssue } from '../../platform/errors.ts';
import type { RouteColumns } from './columns.ts';
import { selfReferences } from './fallbacks.ts';
import type { RouteProperties } from './input.ts';

/**
 * @param route as it shall be
 * @param wanted what the input says of it
 * @throws ValidationError when parts of it contradict each other.
 */
export function requireConsistent(
  { slug, aliases, strategy, fallbacks, costWeight }: RouteColumns,
  targets: readonly { weight: number }[],
  { scoreWeights }: RouteProperties,
): void {
  const issues = selfReferences(fallbacks, [slug, ...aliases]);
  if (aliases.includes(slug)) issues.push({ path: 'aliases', message: 'must not contain the slug' });
  if (strategy === 'WEIGHTED' && targets.every(({ weight }) => weight === 0))
    issues.push({ path: 'targets', message: 'must have one with a weight above 0 for the strategy WEIGHTED' });
  if (strategy === 'CUSTOM' && costWeight === null)
    issues.push({ path: 'scoreWeights', message: 'must be given for the strategy CUSTOM' });
  if (strategy !== 'CUSTOM' && scoreWeights)
    issues.push({ path: 'scoreWeights', message: 'must be left out unless the strategy is CUSTOM' });
  if (issues.length > 0) throw new ValidationError(issues);
}

/** @throws ValidationError when it is the route `default` and would no longer serve requests that name no model. */
export function requireDefaultServes(route: Route, slug: string, isActive: boolean): void {
  if (route.slug !== DEFAULT_ROUTE) return;
  const issues: ValidationIssue[] = [];
  if (slug !== DEFAULT_ROUTE) issues.push({ path: 'slug', message: 'cannot be changed for the route "default"' });
  if (!isActive) issues.push({ path: 'isActive', message: 'must be true for the route "default"' });
  if (issues.length > 0) throw new ValidationError(issues);
}
