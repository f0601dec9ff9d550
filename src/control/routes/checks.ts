import { DEFAULT_ROUTE } from '../../gateway/routing/resolve.ts';
import type { Route } from '../../generated/prisma/client.ts';
import { ValidationError, type ValidationIssue } from '../../platform/errors.ts';

/** What a route shall be, as far as parts of it can contradict each other. */
interface Wanted extends Pick<Route, 'slug' | 'aliases' | 'strategy'> {
  targets: readonly { weight?: number | null | undefined }[];
}

/** @throws ValidationError when a route cannot be like this. */
export function requireConsistent({ slug, aliases, strategy, targets }: Wanted): void {
  const issues: ValidationIssue[] = [];
  if (aliases.includes(slug)) issues.push({ path: 'aliases', message: 'must not contain the slug' });
  if (strategy === 'WEIGHTED' && targets.every(({ weight }) => weight === 0))
    issues.push({ path: 'targets', message: 'must have one with a weight above 0 for the strategy WEIGHTED' });
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
