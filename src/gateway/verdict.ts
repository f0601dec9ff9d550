import { UpstreamTimeoutError, ValidationError } from '../platform/errors.ts';
import type { Attempt } from './attempt.ts';
import type { Timing, Verdict } from './routing/health.ts';
import { choiceOf, type Run } from './run.ts';
import type { Failure } from './upstream/failure.ts';

/** What the end of a call says of the target it went to. */
export function verdictOf(run: Run, attempt: Attempt, failure: Failure | null): Verdict {
  if (!failure) return 'ANSWERED';
  const { error, remedy, upstreamStatus } = failure;
  const isAtFault = remedy === 'SAME_TARGET' || remedy === 'OTHER_TARGET';
  if (!isAtFault || run.cancelled || error instanceof ValidationError) return 'NEUTRAL';
  // The route had no more time for it.
  const isRoutesLimit = error instanceof UpstreamTimeoutError && error.timeout === 'TOTAL' && isOver(run);
  // What becomes of a caller's own account says nothing about others.
  const isOwn = attempt.intent.usedOwnKey && upstreamStatus !== null && upstreamStatus >= 400 && upstreamStatus < 500;
  return isRoutesLimit || isOwn ? 'NEUTRAL' : 'FAILED';
}

/** How long an answer took: a stream until its first token, any other as a whole. */
export function timingOf({ admitted }: Run, { firstTokenAt, intent }: Attempt): Timing | null {
  if (!admitted.isStreamed) return { isStreamed: false, ms: Date.now() - intent.startedAt };
  return firstTokenAt === null ? null : { isStreamed: true, ms: firstTokenAt - intent.startedAt };
}

/**
 * A failure in the middle of an answer, as the plan takes it: another target begins anew where the route and the client
 * allow it, and never the one that broke off. Null: nobody takes over.
 */
export function breaksOff(run: Run, failure: Failure): Failure | null {
  const { admitted, request } = run;
  const isAllowed = choiceOf(admitted)?.route?.restartPolicy === 'OTHER_TARGET' && request.acceptsRestart === true;
  const isBroken = failure.remedy === 'SAME_TARGET' || failure.remedy === 'OTHER_TARGET';
  if (!isAllowed || !isBroken) return null;
  run.brokeOff = failure.error;
  return { ...failure, remedy: 'OTHER_TARGET' };
}

function isOver({ deadline }: Run): boolean {
  return deadline !== null && Date.now() >= deadline;
}
