import { z } from 'zod';
import type { Caller } from '../../gateway/admission/caller.ts';
import { ownKeyContext } from '../../gateway/snapshot/seal-context.ts';
import { NotFoundError, ProviderNotFoundError } from '../../platform/errors.ts';
import { isUuid, maskSecret, uuidv7 } from '../../platform/ids.ts';
import { changeAccounts } from '../accounts/accounts.ts';
import type { Services } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { providerKey } from './input.ts';

const setMyProviderKeyInput = z.object({ provider: z.string(), key: providerKey });

type OwnKeyServices = Pick<Services, 'prisma' | 'accounts' | 'snapshots' | 'secretBox'>;

/**
 * Seals the caller's own key and puts it in the place of the one they had. Returns once this server uses it.
 * @returns its id
 * @throws ValidationError, ProviderNotFoundError
 */
export async function setOwnKey(
  services: OwnKeyServices,
  caller: Caller,
  input: z.input<typeof setMyProviderKeyInput>,
): Promise<string> {
  const { provider: idOrSlug, key } = parseInput(setMyProviderKeyInput, input);
  const { providers, providersById, providersBySlug } = services.snapshots.current;
  const provider = providersById.get(idOrSlug.toLowerCase()) ?? providersBySlug.get(idOrSlug);
  if (!provider) throw new ProviderNotFoundError(idOrSlug, providers);
  const row = { id: uuidv7(), userId: accountOf(caller).id, providerId: provider.id };
  const sealed = services.secretBox.seal(key, ownKeyContext(row));
  await changeAccounts(services, async (tx, revision) => {
    // Held, so that it is not deleted meanwhile.
    const held = await tx.$executeRaw`SELECT 1 FROM providers WHERE id = ${row.providerId}::uuid FOR KEY SHARE`;
    if (held === 0) throw new ProviderNotFoundError(idOrSlug, providers);
    await tx.userProviderKey.deleteMany({ where: { userId: row.userId, providerId: row.providerId } });
    await tx.userProviderKey.create({ data: { ...row, ...sealed, hint: maskSecret(key) } });
    await tx.user.update({ where: { id: row.userId }, data: { revision } });
  });
  return row.id;
}

/**
 * Deletes the caller's own key. Returns once this server no longer uses it.
 * @returns the id that it had
 * @throws NotFoundError when there is none, or it is another's.
 */
export async function deleteOwnKey(services: OwnKeyServices, caller: Caller, id: string): Promise<string> {
  const { id: userId } = accountOf(caller);
  return changeAccounts(services, async (tx, revision) => {
    const { count } = isUuid(id) ? await tx.userProviderKey.deleteMany({ where: { id, userId } }) : { count: 0 };
    if (count === 0) throw new NotFoundError('You have no provider key with this id; myProviderKeys lists yours.');
    await tx.user.update({ where: { id: userId }, data: { revision } });
    return id.toLowerCase();
  });
}
