import type { Services } from './control/schema/context.ts';
import { ACCOUNTS_CHANNEL } from './gateway/admission/accounts.ts';
import { LEASES_CHANNEL } from './gateway/allowances/lease-statements.ts';
import { LEDGER_CHANNEL } from './gateway/ledger/ledger-seq.ts';
import { CONFIGURATION_CHANNEL } from './gateway/snapshot/keeper.ts';
import type { DatabaseConnection } from './platform/database/connection.ts';
import { type Listener, listen } from './platform/database/notifications.ts';
import { EVENTS_CHANNEL } from './platform/events/feed.ts';

type Followers = Pick<Services, 'snapshots' | 'accounts' | 'feed' | 'ledgerSeq' | 'leases' | 'log'>;

/** Takes in what other servers change within milliseconds; after a lost connection, everything since. */
export function followChanges(
  connection: DatabaseConnection,
  { snapshots, accounts, feed, ledgerSeq, leases, log }: Followers,
): Promise<Listener> {
  const follow: Record<string, (payload: string) => Promise<void> | void> = {
    [CONFIGURATION_CHANNEL]: () => snapshots.refresh(),
    [ACCOUNTS_CHANNEL]: () => accounts.refresh(),
    [EVENTS_CHANNEL]: () => feed.refresh(),
    [LEASES_CHANNEL]: (payload) => leases.notice(payload),
    [LEDGER_CHANNEL]: (payload) => ledgerSeq.advance(BigInt(payload)),
  };
  const warn = (error: unknown) => log.warn({ err: error }, 'a change could not be read; the next poll will');
  return listen(
    connection,
    Object.keys(follow),
    async (channel, payload) => {
      try {
        await follow[channel]?.(payload);
      } catch (error) {
        warn(error);
      }
    },
    () => {
      Promise.all([
        snapshots.refresh(),
        accounts.refresh(),
        feed.refresh(),
        ledgerSeq.refresh(),
        leases.refresh(),
      ]).catch(warn);
    },
  );
}
