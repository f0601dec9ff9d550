import type { Door, Operation, RequestStatus } from '../../gateway/ledger/records.ts';
import type { Picodollars } from '../../platform/money.ts';
import type { ShownAttempt } from './types.ts';
import type { ReportedUsage } from './usage-type.ts';

/** A completion as the ledger has it. */
export interface LoggedRequest {
  id: string;
  /** Position in the order in which the ledger was committed. */
  seq: bigint;
  status: RequestStatus;
  door: Door;
  operation: Operation;
  isStreamed: boolean;
  startedAt: Date;
  finishedAt: Date;
  userId: string | null;
  apiKeyId: string | null;
  route: string | null;
  requestedModel: string | null;
  provider: string | null;
  model: string | null;
  /** The route's target of the last attempt. */
  targetId: string | null;
  /** A cached answer served it. */
  isCached: boolean;
  finishReason: string | null;
  /** As it was written, by whichever version. */
  errorCode: string | null;
  errorMessage: string | null;
  /** It and the cost are as corrected since. */
  usage: ReportedUsage;
  cost: Picodollars | null;
  latencyMs: number;
  timeToFirstTokenMs: number | null;
  attemptCount: number;
  configVersion: bigint;
  tags: Readonly<Record<string, string>>;
  warnings: readonly string[];
  /** Its attempts in the order in which they were made. The first call reads those of all that were read with it. */
  attempts: () => Promise<ShownAttempt[]>;
}
