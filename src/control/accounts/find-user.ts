import type { User } from '../../generated/prisma/client.ts';
import { NotFoundError } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import type { Services } from '../schema/context.ts';

/**
 * The user with this id or e-mail address.
 * @throws NotFoundError
 */
export async function findUser({ prisma }: Pick<Services, 'prisma'>, wanted: string): Promise<User> {
  const email = storable(wanted.toLowerCase());
  const user = await prisma.user.findUnique({ where: isUuid(wanted) ? { id: wanted } : { email } });
  if (!user) throw new NotFoundError('There is no user with this id or e-mail address.');
  return user;
}

/** Whether somebody means an account, by its id or e-mail address. */
export function isNameOf({ id, email }: Pick<User, 'id' | 'email'>, wanted: string): boolean {
  return [id, email].includes(wanted.toLowerCase());
}
