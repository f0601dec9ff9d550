import { ConcurrencyLimit } from '../../platform/concurrency-limit.ts';

/**
 * What of this process adds to the ledger at once, beside the drain. Each holds the ledger's head, so that more would only
 * wait with a connection that others need.
 */
export const posting = new ConcurrencyLimit(2);
