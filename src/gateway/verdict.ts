import { UpstreamTimeoutError, ValidationError } from '../platform/errors.ts';
import type { Attempt } from './attempt.ts';
import type { Verdict } from './routing/health.ts';
import { choiceOf, type Run } from './run.ts';
import type { Failure } from './upstream/failure.ts';

/** What the end of a call says of the target it went to. */
export function verdictOf(run: Run, attempt: Attempt, failure: Failure | null): Verdict {
  if (!failure) return 'ANSWERED';
  const { error, remedy, upstreamStatus } = failure;
  const isAtFault = remedy === 'SAME_TARGET' || remedy === 'OTHER_TARGET';
  if (!isAtFault || run.cancelled || error instanceof ValidationError) return 'NEUTRAL';
  if (error instanceof UpstreamTimeoutError && isRoutesLimit(run, attempt, error)) return 'NEUTRAL';
  // Clients may name models that nobody has.
  if (upstreamStatus === 404) return 'NEUTRAL';
  // What becomes of a caller's own account says nothing about others.
  const isOwn = attempt.intent.usedOwnKey && upstreamStatus !== null && upstreamStatus >= 400 && upstreamStatus < 500;
  return isOwn ? 'NEUTRAL' : 'FAILED';
}

/** The route had no more time, and the target had begun to answer, or had only what others had left of it. */
function isRoutesLimit(
  { deadline, origin }: Run,
  { intent, upstreamStatus }: Attempt,
  { timeout }: UpstreamTimeoutError,
) {
  if (timeout !== 'TOTAL' || deadline === null || Date.now() < deadline) return false;
  const hadMostOfIt = (deadline - intent.startedAt) * 2 >= deadline - origin.startedAt;
  return upstreamStatus !== null || !hadMostOfIt;
}

/** How long an answer took: a stream until its first token, any other as a whole; null: that is not known. */
export function answerTimeOf({ admitted }: Run, { firstTokenAt, intent }: Attempt): number | null {
  if (!admitted.isStreamed) return Date.now() - intent.startedAt;
  return firstTokenAt === null ? null : firstTokenAt - intent.startedAt;
}

/**
 * A failure in the middle of an answer, as the plan takes it: another target begins anew where the route and the client
 * allow it, and never the one that broke off. Null: nobody takes over.
 */
export function restartAfter(run: Run, failure: Failure): Failure | null {
  const { admitted, request } = run;
  const isAllowed = choiceOf(admitted)?.route?.restartPolicy === 'OTHER_TARGET' && request.acceptsRestart === true;
  run.brokeOff = failure.error;
  const isBroken = failure.remedy === 'SAME_TARGET' || failure.remedy === 'OTHER_TARGET';
  if (!isAllowed || !isBroken) return null;
  return { ...failure, remedy: 'OTHER_TARGET' };
}
