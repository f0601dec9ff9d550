import { ACCOUNTS_CHANNEL } from '../../gateway/admission/accounts.ts';
import { TRANSACTION, type Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';

/**
 * The one way to change users and API keys. Changes happen one after the other; each writes the revision it is given
 * into the rows it changes, by which every server finds them. Returns once this server knows the change.
 * @param change throws to refuse: nothing is written then.
 */
export async function changeAccounts<T>(
  services: Pick<Services, 'prisma' | 'accounts'>,
  change: (tx: Transaction, revision: bigint) => Promise<T>,
): Promise<T> {
  const result = await services.prisma.$transaction(async (tx) => {
    const { revision } = await tx.accountsHead.update({
      where: { id: 1 },
      data: { revision: { increment: 1 } },
      select: { revision: true },
    });
    const changed = await change(tx, revision);
    await tx.$executeRaw`SELECT pg_notify(${ACCOUNTS_CHANNEL}, ${revision.toString()})`;
    return changed;
  }, TRANSACTION);
  await services.accounts.refresh();
  return result;
}
