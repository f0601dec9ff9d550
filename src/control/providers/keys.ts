import { systemKeyContext } from '../../gateway/snapshot/seal-context.ts';
import type { SecretBox } from '../../platform/crypto.ts';
import { maskSecret, uuidv7 } from '../../platform/ids.ts';
import type { Transaction } from '../schema/change-configuration.ts';

/** What a key is called that was given no name. */
export const DEFAULT_NAME = 'default';

/** The key that is sealed, with what admins say of it. */
export interface NewKey {
  key: string;
  name?: string;
  weight?: number;
}

/** Stores a key, sealed, in the place of the provider's key of that name. */
export async function storeKey(
  tx: Transaction,
  secretBox: SecretBox,
  providerId: string,
  { key, name = DEFAULT_NAME, weight = 1 }: NewKey,
): Promise<void> {
  const id = uuidv7();
  const sealed = secretBox.seal(key, systemKeyContext({ id, providerId }));
  await tx.providerKey.deleteMany({ where: { providerId, name } });
  await tx.providerKey.create({ data: { id, providerId, name, weight, ...sealed, hint: maskSecret(key) } });
}
