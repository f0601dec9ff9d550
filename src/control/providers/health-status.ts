import type { AttemptReport } from '../../gateway/completion.ts';
import type { ProviderStatus } from '../../generated/prisma/client.ts';

/**
 * What one upstream call says of its provider:
 * - `ANSWERED`: with a whole completion;
 * - `LIMITED`: it limits its requests (429);
 * - `REFUSED`: it answered, and did not accept the request: unknown model, wrong parameter, prompt too long, filtered;
 * - `FAILED`: no completion can be had: not reached, too slow, broken off, 5xx, key refused, unpaid, or no completion.
 */
export type Verdict = 'ANSWERED' | 'LIMITED' | 'REFUSED' | 'FAILED';

/** Null: nothing, because the client left or the fault is Signalbox's own. */
export function verdictOf(attempt: Pick<AttemptReport, 'status' | 'errorCode' | 'upstreamStatus'>): Verdict | null {
  if (attempt.status === 'SUCCEEDED') return 'ANSWERED';
  if (attempt.status !== 'FAILED') return null;
  switch (attempt.errorCode) {
    case 'RATE_LIMITED':
      return 'LIMITED';
    case 'VALIDATION':
    case 'CONTEXT_LENGTH_EXCEEDED':
    case 'CONTENT_FILTERED':
      return 'REFUSED';
    case 'UPSTREAM':
      return attempt.upstreamStatus === 404 ? 'REFUSED' : 'FAILED';
    case 'UPSTREAM_TIMEOUT':
      return 'FAILED';
    default:
      return null;
  }
}

/** The status after a test. */
export function statusOfTest(verdict: Verdict): ProviderStatus {
  if (verdict === 'ANSWERED') return 'ONLINE';
  return verdict === 'FAILED' ? 'OFFLINE' : 'DEGRADED';
}

const ENOUGH_CALLS = 3;
const OFFLINE_SHARE = 0.8;
const DEGRADED_SHARE = 0.2;
const DEGRADED_FAULTS = 2;

/**
 * The status that recent traffic shows. What a provider refused is between it and the client, and is no part of it.
 * - OFFLINE: of at least 3 calls, 80% failed;
 * - DEGRADED: of at least 3 calls, 20% and at least 2 failed or were limited;
 * - ONLINE: otherwise.
 * Null: too few calls to say, and not all were answered; the status stays what it was.
 */
export function statusOfTraffic(verdicts: readonly Exclude<Verdict, 'REFUSED'>[]): ProviderStatus | null {
  const calls = verdicts.length;
  const failed = verdicts.filter((verdict) => verdict === 'FAILED').length;
  const faults = verdicts.filter((verdict) => verdict !== 'ANSWERED').length;
  if (calls < ENOUGH_CALLS) return calls > 0 && faults === 0 ? 'ONLINE' : null;
  if (failed / calls >= OFFLINE_SHARE) return 'OFFLINE';
  return faults >= DEGRADED_FAULTS && faults / calls >= DEGRADED_SHARE ? 'DEGRADED' : 'ONLINE';
}
