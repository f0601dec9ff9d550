import { randomBytes } from 'node:crypto';
import { ACCOUNTS_CHANNEL } from '../../gateway/admission/accounts.ts';
import { hashApiKey } from '../../platform/crypto.ts';
import { maskSecret, newApiKey, uuidv7 } from '../../platform/ids.ts';
import type { Settings } from '../../platform/settings.ts';
import { hashPassword } from '../accounts/accounts.ts';
import type { Transaction } from '../schema/change-configuration.ts';

/** What was made up here; null: the settings gave it. */
export interface MadeSecrets {
  adminPassword: string | null;
  apiKey: string | null;
}

/** Creates the first admin, and an admin API key of theirs. */
export async function createAdmin(tx: Transaction, settings: Settings): Promise<MadeSecrets> {
  const adminPassword = settings.adminPassword ? null : randomBytes(15).toString('base64url');
  const apiKey = settings.bootstrapApiKey ? null : newApiKey();
  const password = settings.adminPassword ?? adminPassword ?? '';
  const key = settings.bootstrapApiKey ?? apiKey ?? '';
  const { revision } = await tx.accountsHead.update({
    where: { id: 1 },
    data: { revision: { increment: 1 } },
    select: { revision: true },
  });
  const ownerId = uuidv7();
  await tx.user.create({
    data: {
      id: ownerId,
      email: settings.adminEmail,
      passwordHash: await hashPassword(password),
      role: 'ADMIN',
      tier: 'ENTERPRISE',
      revision,
    },
  });
  await tx.apiKey.create({
    data: {
      id: uuidv7(),
      ownerId,
      name: 'First key',
      hash: new Uint8Array(hashApiKey(key)),
      hint: maskSecret(key),
      isAdmin: true,
      revision,
    },
  });
  await tx.$executeRaw`SELECT pg_notify(${ACCOUNTS_CHANNEL}, ${revision.toString()})`;
  return { adminPassword, apiKey };
}
