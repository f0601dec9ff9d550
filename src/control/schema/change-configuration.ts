import type { Prisma } from '../../generated/prisma/client.ts';
import type { Services } from './context.ts';

/** A Prisma client inside a transaction. */
export type Transaction = Prisma.TransactionClient;

/** How long a change may wait for those before it, and take itself. */
const TRANSACTION = { maxWait: 5_000, timeout: 15_000 };

/**
 * The one way to change what the gateway's snapshot holds. Locks the configuration's version, so changes happen one
 * after the other and a check made inside `change` holds until its commit. Returns once this server serves the change.
 * @param change throws to refuse: nothing is written then, and the version stays what it was.
 */
export async function changeConfiguration<T>(
  services: Pick<Services, 'prisma' | 'snapshots'>,
  change: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const { version, result } = await services.prisma.$transaction(async (tx) => {
    const { version } = await tx.configuration.update({
      where: { id: 1 },
      data: { version: { increment: 1 }, updatedAt: new Date() },
      select: { version: true },
    });
    const result = await change(tx);
    await tx.$executeRaw`SELECT pg_notify('signalbox_configuration', ${version.toString()})`;
    return { version, result };
  }, TRANSACTION);
  await services.snapshots.atLeast(version);
  return result;
}
