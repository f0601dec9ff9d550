import type { Caller } from '../../gateway/admission/caller.ts';
import { DEFAULT_ROUTE } from '../../gateway/routing/resolve.ts';
import { invalid } from '../../platform/errors.ts';
import { type Change, changeConfiguration, type Transaction } from '../schema/change-configuration.ts';
import { activeProviderId, findProvider, keyNeeded, mayServe, type ProviderServices } from './checks.ts';

export interface Activation {
  activeId: string;
  /** Null when no provider was active before. */
  previousId: string | null;
  switchedAt: Date;
  message: string;
}

/**
 * Makes a provider the active one, and sends the route `default` to it by clearing that route's targets, and with
 * them its traffic split.
 * @throws ProviderNotFoundError, ValidationError when the provider is disabled or lacks the key its kind needs.
 */
export async function activateProvider(
  services: ProviderServices,
  caller: Caller,
  idOrSlug: string,
): Promise<Activation> {
  return changeConfiguration(services, caller, async (tx, record) => {
    const provider = await findProvider(tx, services, idOrSlug);
    if (!mayServe(provider.kind, provider.keys.length)) throw keyNeeded('id', provider.slug);
    if (!provider.isEnabled)
      throw invalid('id', `The provider "${provider.slug}" is disabled; enable it first with updateProvider.`);
    const previousId = await activeProviderId(tx);
    await tx.configuration.update({ where: { id: 1 }, data: { activeProviderId: provider.id } });
    record({ action: 'ACTIVATED', subject: 'PROVIDER', id: provider.id, name: provider.slug });
    await clearDefaultRoute(tx, record);
    const message =
      previousId === provider.id
        ? `${provider.name} was active already.`
        : `The route "default" now sends to ${provider.name}.`;
    return { activeId: provider.id, previousId, switchedAt: new Date(), message };
  });
}

async function clearDefaultRoute(tx: Transaction, record: (change: Change) => void): Promise<void> {
  const route = await tx.route.findUniqueOrThrow({
    where: { slug: DEFAULT_ROUTE },
    select: { id: true, strategy: true, _count: { select: { targets: true } } },
  });
  if (route._count.targets === 0 && route.strategy === 'FAILOVER') return;
  await tx.routeTarget.deleteMany({ where: { routeId: route.id } });
  await tx.route.update({
    where: { id: route.id },
    data: {
      strategy: 'FAILOVER',
      costWeight: null,
      latencyWeight: null,
      qualityWeight: null,
      version: { increment: 1 },
    },
  });
  record({ action: 'UPDATED', subject: 'ROUTE', id: route.id, name: DEFAULT_ROUTE });
}
