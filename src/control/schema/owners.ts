import { type Account, type Caller, isAdmin } from '../../gateway/admission/caller.ts';
import { ForbiddenError } from '../../platform/errors.ts';
import { denial } from './access.ts';

/**
 * The account that a caller acts as.
 * @throws AuthenticationError when nobody is signed in.
 */
export function accountOf(caller: Caller): Account {
  if (caller.kind === 'ANONYMOUS') throw denial(caller);
  return caller.account;
}

/**
 * Whether a caller may see and change what is `ownerId`'s: their own, and as an admin everybody's.
 * @param ownerId null: nobody's, which is for admins only
 */
export function isTheirs(caller: Caller, ownerId: string | null): boolean {
  return isAdmin(caller) || (caller.kind !== 'ANONYMOUS' && caller.account.id === ownerId);
}

/**
 * Whose requests and numbers a caller gets to see.
 * @param wanted the user the caller asked for; null: nobody in particular
 * @returns a user's id; null for everybody's
 * @throws ForbiddenError when somebody who is no admin asks for another's.
 */
export function visibleOwner(caller: Caller, wanted: string | null): string | null {
  if (isAdmin(caller)) return wanted;
  const { id } = accountOf(caller);
  // Ids may be written in capitals.
  if (wanted && wanted.toLowerCase() !== id) throw new ForbiddenError('Only admins may see what is another’s.');
  return id;
}
