import type { SecretBox } from '../../platform/crypto.ts';
import { maskSecret, uuidv7 } from '../../platform/ids.ts';
import type { Transaction } from '../schema/change-configuration.ts';

/** Puts `key`, sealed, in the place of the provider's keys. */
export async function replaceKey(
  tx: Transaction,
  secretBox: SecretBox,
  providerId: string,
  key: string,
): Promise<void> {
  const id = uuidv7();
  await tx.providerKey.deleteMany({ where: { providerId } });
  await tx.providerKey.create({ data: { id, providerId, ...secretBox.seal(key, id), hint: maskSecret(key) } });
}
