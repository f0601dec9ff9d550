import type { Caller } from '../../gateway/admission/caller.ts';
import { ValidationError, type ValidationIssue } from '../../platform/errors.ts';
import { mayServe } from '../providers/providers.ts';
import {
  findRoute,
  findTargets,
  mergeTargets,
  NO_SCORE_WEIGHTS,
  replaceTargets,
  type WantedTarget,
} from '../routes/routes.ts';
import { changeConfiguration } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { parseInput } from '../schema/parse-input.ts';
import { requireVersion } from '../schema/require-version.ts';
import { type SetTrafficSplitInput, setTrafficSplitInput } from './traffic-split-input.ts';

/**
 * Makes the named targets all that the route has, and their percentages its weights.
 * @returns the route's id.
 * @throws ValidationError, RouteNotFoundError, ProviderNotFoundError, ConflictError when the version is stale.
 */
export async function setTrafficSplit(
  services: Pick<Services, 'prisma' | 'snapshots'>,
  caller: Caller,
  input: SetTrafficSplitInput,
): Promise<string> {
  const wanted = parseInput(setTrafficSplitInput, input);
  return changeConfiguration(services, caller, async (tx, record) => {
    const route = await findRoute(tx, services, wanted.routeId);
    requireVersion(`route "${route.slug}"`, route.version, wanted.version);
    const weighed = wanted.targets.map(({ percentage, ...target }) => ({ ...target, weight: percentage }));
    const targets = await findTargets(tx, services, weighed);
    requireUsable(targets);
    await tx.route.update({
      where: { id: route.id },
      data: { strategy: 'WEIGHTED', ...NO_SCORE_WEIGHTS, version: { increment: 1 } },
    });
    await replaceTargets(tx, route.id, mergeTargets(route.targets, targets));
    record({ action: 'UPDATED', subject: 'ROUTE', id: route.id, name: route.slug });
    return route.id;
  });
}

/** What cannot be used would leave its share to the others, and the split would not be what was asked for. */
function requireUsable(targets: readonly WantedTarget[]): void {
  const issues = targets.flatMap((target, index): ValidationIssue[] => {
    const problem = target.weight === 0 ? null : problemOf(target);
    return problem ? [{ path: `targets.${index}.provider`, message: problem }] : [];
  });
  if (issues.length > 0) throw new ValidationError(issues);
}

function problemOf({ provider, models }: WantedTarget): string | null {
  if (!mayServe(provider.kind, provider.keys.length))
    return `The provider "${provider.slug}" has no key; set one with setProviderKey.`;
  if (!provider.isEnabled) return `The provider "${provider.slug}" is disabled; enable it first with updateProvider.`;
  const candidates =
    models.length === 0 ? provider.models : provider.models.filter(({ name }) => models.includes(name));
  if (candidates.some(({ isEnabled }) => isEnabled)) return null;
  return `The provider "${provider.slug}" has none of these models enabled.`;
}
