import type { Caller } from '../../gateway/admission/caller.ts';
import { ConflictError, NotFoundError } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import { changeConfiguration, type Transaction } from '../schema/change-configuration.ts';
import { requireNoFallbackOnProvider } from '../schema/fallbacks.ts';
import { listNames } from '../schema/list-names.ts';
import { activeProviderId, findProvider, mayServe, type ProviderServices } from './checks.ts';

/** A provider that is gone. */
export interface DeletedProvider {
  id: string;
  slug: string;
}

/** A key that is gone. */
export interface DeletedKey {
  id: string;
  providerId: string;
}

/**
 * Deletes a provider with its keys, models and health. What it did stays on the ledger.
 * @throws ProviderNotFoundError, ConflictError while it is the active one, or routes have targets on it or fall back on it.
 */
export async function deleteProvider(
  services: ProviderServices,
  caller: Caller,
  idOrSlug: string,
): Promise<DeletedProvider> {
  return changeConfiguration(services, caller, async (tx, record) => {
    const { id, slug } = await findProvider(tx, services, idOrSlug);
    if ((await activeProviderId(tx)) === id)
      throw new ConflictError(`The provider "${slug}" is the active one; activate another one first.`);
    await requireNoTargets(tx, id, slug);
    await requireNoFallbackOnProvider(tx, slug);
    await tx.provider.delete({ where: { id } });
    record({ action: 'DELETED', subject: 'PROVIDER', id, name: slug });
    return { id, slug };
  });
}

async function requireNoTargets(tx: Transaction, providerId: string, slug: string): Promise<void> {
  const routes = await tx.route.findMany({
    where: { targets: { some: { providerId } } },
    select: { slug: true },
    orderBy: { slug: 'asc' },
  });
  if (routes.length === 0) return;
  const named = listNames(routes.map((route) => route.slug));
  throw new ConflictError(
    `Routes have targets on the provider "${slug}": ${named}. Take it out of them first, or delete them.`,
  );
}

/**
 * Deletes a key. A provider whose kind needs one is disabled with its last key.
 * @throws NotFoundError, ConflictError when that would disable the active provider.
 */
export async function deleteProviderKey(services: ProviderServices, caller: Caller, id: string): Promise<DeletedKey> {
  return changeConfiguration(services, caller, async (tx, record) => {
    const key = isUuid(id) ? await tx.providerKey.findUnique({ where: { id }, include: { provider: true } }) : null;
    if (!key) throw new NotFoundError('There is no provider key with this id; providerKeys lists those there are.');
    const { provider, hint } = key;
    const others = await tx.providerKey.count({ where: { providerId: provider.id, id: { not: id } } });
    const staysUsable = mayServe(provider.kind, others);
    if (!staysUsable && (await activeProviderId(tx)) === provider.id)
      throw new ConflictError(
        `The provider "${provider.slug}" is the active one and cannot serve without this key; activate another one first, or replace the key with setProviderKey.`,
      );
    await tx.providerKey.delete({ where: { id } });
    await tx.provider.update({
      where: { id: provider.id },
      data: { version: { increment: 1 }, ...(staysUsable ? {} : { isEnabled: false }) },
    });
    record({ action: 'DELETED', subject: 'PROVIDER_KEY', id: key.id, name: hint });
    record({ action: 'UPDATED', subject: 'PROVIDER', id: provider.id, name: provider.slug });
    return { id: key.id, providerId: provider.id };
  });
}
