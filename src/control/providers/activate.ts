import type { Caller } from '../../gateway/admission/caller.ts';
import { changeConfiguration } from '../schema/change-configuration.ts';
import { activeProviderId, findProvider, invalid, keyNeeded, mayServe, type ProviderServices } from './checks.ts';

export interface Activation {
  activeId: string;
  /** Null when no provider was active before. */
  previousId: string | null;
  switchedAt: Date;
  message: string;
}

/**
 * Makes a provider the active one, and sends the route `default` to it by clearing that route's targets.
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
    await tx.routeTarget.deleteMany({ where: { route: { slug: 'default' } } });
    record({ action: 'ACTIVATED', subject: 'PROVIDER', id: provider.id, name: provider.slug });
    const message =
      previousId === provider.id
        ? `${provider.name} was active already.`
        : `The route "default" now sends to ${provider.name}.`;
    return { activeId: provider.id, previousId, switchedAt: new Date(), message };
  });
}
