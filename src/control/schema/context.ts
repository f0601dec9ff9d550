import type { Pool } from 'pg';
import type { AccountCache } from '../../gateway/admission/accounts.ts';
import type { Caller } from '../../gateway/admission/caller.ts';
import type { RateLimiter } from '../../gateway/admission/rate-limit.ts';
import type { Tokens } from '../../gateway/admission/tokens.ts';
import type { Leases } from '../../gateway/allowances/leases.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { Ledger } from '../../gateway/ledger/ledger.ts';
import type { LedgerSeq } from '../../gateway/ledger/ledger-seq.ts';
import type { SnapshotKeeper } from '../../gateway/snapshot/keeper.ts';
import type { PrismaClient } from '../../generated/prisma/client.ts';
import type { SecretBox } from '../../platform/crypto.ts';
import type { EventFeed } from '../../platform/events/feed.ts';
import type { Log } from '../../platform/log.ts';
import type { Settings } from '../../platform/settings.ts';
import type { RequestTail } from '../completions/completions.ts';
import type { LiveViews } from '../metrics/metrics.ts';
import type { HealthMonitor } from '../providers/providers.ts';

/** What the rooms of the control plane work with; made once, when the server starts. */
export interface Services {
  settings: Settings;
  log: Log;
  prisma: PrismaClient;
  /** For raw SQL on the ledger and its roll-ups. */
  pool: Pool;
  secretBox: SecretBox;
  tokens: Tokens;
  accounts: AccountCache;
  rateLimiter: RateLimiter;
  snapshots: SnapshotKeeper;
  gateway: Gateway;
  ledger: Ledger;
  /** How far the ledger of all servers is. */
  ledgerSeq: LedgerSeq;
  /** What this server has set aside of budgets and credits. */
  leases: Leases;
  /** What happens on all servers, live. */
  feed: EventFeed;
  /** Tests the providers, and keeps their health. */
  providerHealth: HealthMonitor;
  /** The metrics that somebody watches on this server. */
  liveViews: LiveViews;
  /** For those who follow the request log on this server. */
  requestTail: RequestTail;
}

/** What a resolver gets. One lives as long as its operation; a subscription's as long as the subscription. */
export interface Context {
  services: Services;
  /** In a subscription: as of the event that is being resolved. */
  caller: Caller;
  /**
   * Looks the caller up again, from memory for whoever is known.
   * @throws AuthenticationError when the credential has expired or was revoked meanwhile.
   */
  renewCaller: () => Caller | Promise<Caller>;
  /** Of the client. */
  address: string;
  requestId: string;
  /** Aborts when the client leaves: by a CancelledError when it unsubscribes, by something else when the connection is cut. */
  signal: AbortSignal;
}
