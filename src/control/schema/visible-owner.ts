import { type Caller, isAdmin } from '../../gateway/admission/caller.ts';
import { ForbiddenError } from '../../platform/errors.ts';

/**
 * Whose requests and numbers a caller gets to see.
 * @param wanted the user the caller asked for; null: nobody in particular
 * @returns a user's id; null for everybody's
 * @throws ForbiddenError when somebody who is no admin asks for another's.
 */
export function visibleOwner(caller: Caller, wanted: string | null): string | null {
  if (isAdmin(caller)) return wanted;
  if (caller.kind === 'ANONYMOUS') throw new ForbiddenError('Sign in to see what is yours.');
  if (wanted && wanted !== caller.account.id) throw new ForbiddenError('Only admins may see what is another’s.');
  return caller.account.id;
}
