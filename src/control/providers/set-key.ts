import type { Caller } from '../../gateway/admission/caller.ts';
import { invalid } from '../../platform/errors.ts';
import { changeConfiguration } from '../schema/change-configuration.ts';
import { parseInput } from '../schema/parse-input.ts';
import { findProvider, type ProviderServices } from './checks.ts';
import { type SetProviderKeyInput, setProviderKeyInput } from './input.ts';
import { DEFAULT_NAME, storeKey } from './keys.ts';

const MOST_KEYS = 20;

/**
 * Seals a key and puts it in the place of the provider's key of that name, or adds it; without a key, changes the weight
 * of the one there is. The first key of a provider enables it.
 * @returns the provider's id.
 * @throws ValidationError, ProviderNotFoundError
 */
export async function setProviderKey(
  services: ProviderServices,
  caller: Caller,
  input: SetProviderKeyInput,
): Promise<string> {
  const { key, name, ...wanted } = parseInput(setProviderKeyInput, input);
  return changeConfiguration(services, caller, async (tx, record) => {
    const { id: providerId, slug, keys } = await findProvider(tx, services, wanted.provider);
    const named = { providerId, name: name ?? DEFAULT_NAME };
    const previous = await tx.providerKey.findUnique({ where: { providerId_name: named } });
    const weight = wanted.weight ?? previous?.weight ?? 1;
    if (key == null) {
      if (!previous) throw invalid('key', `must be given, because "${slug}" has no key of this name`);
      await tx.providerKey.update({ where: { id: previous.id }, data: { weight } });
    } else {
      if (!previous && keys.length >= MOST_KEYS)
        throw invalid('name', `must be that of a key there is, because "${slug}" has ${MOST_KEYS} keys, the most`);
      await storeKey(tx, services.secretBox, providerId, { key, weight, name: named.name });
    }
    await tx.provider.update({
      where: { id: providerId },
      data: { version: { increment: 1 }, ...(keys.length === 0 ? { isEnabled: true, isOpenToOwnKeys: true } : {}) },
    });
    record({ action: 'UPDATED', subject: 'PROVIDER', id: providerId, name: slug });
    return providerId;
  });
}
