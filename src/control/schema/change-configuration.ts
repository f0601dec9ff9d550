import type { Caller } from '../../gateway/admission/caller.ts';
import { CONFIGURATION_CHANNEL } from '../../gateway/snapshot/keeper.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Query } from '../../platform/database/query.ts';
import { publishEvent } from '../../platform/events/feed.ts';
import type { Services } from './context.ts';
import { keepVersions } from './route-versions.ts';

/** A Prisma client inside a transaction. */
export type Transaction = Prisma.TransactionClient;

/** Sends statements with their parameters in the transaction. */
export function queryIn(tx: Transaction): Query {
  return (sql, values) => tx.$queryRawUnsafe(sql, ...values);
}

/** How long a change may wait for those before it, and take itself, in milliseconds. */
export const TRANSACTION = { maxWait: 5_000, timeout: 15_000 };

/** One thing that a change of the configuration did. */
export interface Change {
  action: 'CREATED' | 'UPDATED' | 'DELETED' | 'ACTIVATED';
  subject: 'PROVIDER' | 'PROVIDER_KEY' | 'MODEL' | 'ROUTE';
  id: string;
  /** What people call it: a slug, a name, or what may be shown of a key. */
  name: string;
}

/** What subscribers of every server are told of a new version of the configuration. */
export interface ConfigurationEvent {
  version: string;
  /** The user who changed it. */
  changedBy: string | null;
  changes: Change[];
}

/**
 * The one way to change what the gateway's snapshot holds. Locks the configuration's version, so changes happen one
 * after the other and a check made inside `change` holds until its commit. Returns once this server serves the change.
 * @param change says what it did to `record`, for those who watch; of a route that it changed, the version that it is at
 *   then is kept. Throws to refuse: nothing is written then, and the
 *   version stays what it was.
 */
export async function changeConfiguration<T>(
  services: Pick<Services, 'prisma' | 'snapshots'>,
  caller: Caller,
  change: (tx: Transaction, record: (change: Change) => void) => Promise<T>,
): Promise<T> {
  const { version, result } = await services.prisma.$transaction(async (tx) => {
    const { version } = await tx.configuration.update({
      where: { id: 1 },
      data: { version: { increment: 1 }, updatedAt: new Date() },
      select: { version: true },
    });
    const changes: Change[] = [];
    const result = await change(tx, (one) => changes.push(one));
    const changedBy = caller.kind === 'ANONYMOUS' ? null : caller.account.id;
    const routes = changes.filter(({ subject, action }) => subject === 'ROUTE' && action !== 'DELETED');
    await keepVersions(
      tx,
      routes.map(({ id }) => id),
      changedBy,
    );
    await tx.$executeRaw`SELECT pg_notify(${CONFIGURATION_CHANNEL}, ${version.toString()})`;
    await publishEvent(tx, 'CONFIGURATION', {
      version: version.toString(),
      changedBy,
      changes,
    } satisfies ConfigurationEvent);
    return { version, result };
  }, TRANSACTION);
  await services.snapshots.atLeast(version);
  return result;
}
