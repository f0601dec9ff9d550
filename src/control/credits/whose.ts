import { type Caller, isAdmin } from '../../gateway/admission/caller.ts';
import { ForbiddenError, NotFoundError } from '../../platform/errors.ts';
import { findUser, isNameOf } from '../accounts/accounts.ts';
import type { Services } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';

/**
 * Whose credits a caller asks for.
 * @param wanted id or e-mail address of a user; null: the caller
 * @returns null: there is no such user
 * @throws ForbiddenError when somebody who is no admin asks for another's, whether there are any or not
 */
export async function whose(
  services: Pick<Services, 'prisma'>,
  caller: Caller,
  wanted: string | null,
): Promise<string | null> {
  const account = accountOf(caller);
  if (wanted === null || isNameOf(account, wanted)) return account.id;
  if (!isAdmin(caller)) throw new ForbiddenError('Only admins may see what is another’s.');
  try {
    return (await findUser(services, wanted)).id;
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}
