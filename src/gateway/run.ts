import { type SignalboxError, shorten } from '../platform/errors.ts';
import type { Admitted } from './admission/admit.ts';
import type { Attempt } from './attempt.ts';
import type { AnswerHead, AttemptReport, CompletionReport, CompletionRequest } from './completion.ts';
import { totalsOf } from './ledger/ledger.ts';
import type { AttemptOutcome, CompletionOrigin, CompletionOutcome, RequestStatus } from './ledger/records.ts';
import type { InlineImage } from './upstream/dialect.ts';
import type { Exchange } from './upstream/transport.ts';

/** A completion between its admission and its end. */
export interface Run {
  requestId: string;
  request: CompletionRequest;
  admitted: Admitted;
  origin: CompletionOrigin;
  /** Why it was cancelled, if it was. */
  cancelled: SignalboxError | null;
  /** What is on its way, a call to the provider or to where images are; cancelling ends it. */
  exchange: Pick<Exchange, 'abort'> | null;
  /** The images behind the addresses in the request, once they were needed. */
  images: ReadonlyMap<string, InlineImage> | null;
  /** The attempts that have ended. */
  reports: AttemptReport[];
  /** The attempt that is on its way: intended, not yet settled. */
  open: Attempt | null;
  /** The last attempt that has ended, while the completion has not. */
  last: Attempt | null;
  /** What of the request the provider did not get as it was sent. */
  warnings: readonly string[];
  /** The client has something of the answer; from here on no other provider can take over. */
  hasStarted: boolean;
}

export function startRun(requestId: string, request: CompletionRequest, admitted: Admitted): Run {
  const { caller } = request;
  const { route } = admitted.resolution;
  const origin: CompletionOrigin = {
    completionId: requestId,
    startedAt: Date.now(),
    door: request.door,
    isStreamed: admitted.isStreamed,
    userId: caller.kind === 'ANONYMOUS' ? null : caller.account.id,
    apiKeyId: caller.kind === 'API_KEY' ? caller.key.id : null,
    routeId: route?.id ?? null,
    routeSlug: route?.slug ?? null,
    operation: request.operation,
    requestedModel: admitted.model,
    configVersion: admitted.snapshot.version,
    decision: null,
    tags: request.tags,
  };
  return {
    requestId,
    request,
    admitted,
    origin,
    cancelled: null,
    exchange: null,
    images: null,
    reports: [],
    open: null,
    last: null,
    warnings: [],
    hasStarted: false,
  };
}

/** Ends the call to the provider now. The first reason stays. */
export function cancel(run: Run, reason: SignalboxError): void {
  run.cancelled ??= reason;
  run.exchange?.abort(run.cancelled);
}

/** The answer begins: what is known of it now. */
export function startAnswer(run: Run, attempt: Attempt): AnswerHead {
  run.hasStarted = true;
  return {
    requestId: run.requestId,
    provider: attempt.intent.providerSlug,
    model: attempt.intent.model,
    route: run.origin.routeSlug,
    attempts: attempt.intent.number,
    warnings: run.warnings,
    startedAt: run.origin.startedAt,
  };
}

/** The attempt on its way has ended. */
export function endAttempt(
  run: Run,
  attempt: Attempt,
  status: RequestStatus,
  error: SignalboxError | null,
): AttemptOutcome {
  run.open = null;
  const outcome = attempt.outcome(status, error);
  run.reports.push(attempt.report(outcome));
  return outcome;
}

/** How the completion ended, with the sums over its attempts; `last` is the one that decided it. */
export function outcomeOf(
  run: Run,
  last: Attempt,
  status: RequestStatus,
  error: SignalboxError | null,
): CompletionOutcome {
  const finishedAt = Date.now();
  const { usage, cost, isEstimated } = totalsOf(run.reports);
  return {
    status,
    finishedAt,
    finishReason: last.finishReason,
    errorCode: error?.code ?? null,
    errorMessage: error ? shorten(error.message, 1_000) : null,
    usage,
    isEstimated,
    cost,
    latencyMs: finishedAt - run.origin.startedAt,
    timeToFirstTokenMs: last.timeToFirstTokenMs,
    providerId: last.intent.providerId,
    providerSlug: last.intent.providerSlug,
    model: last.answeredModel ?? last.intent.model,
    targetId: last.intent.targetId,
    isCached: false,
    warnings: run.warnings,
  };
}

/** What callers are told of a completion that is settled. */
export function reportOf(run: Run, outcome: CompletionOutcome): CompletionReport {
  // Field by field: spreading objects of this size costs microseconds on every request.
  return {
    requestId: run.requestId,
    startedAt: run.origin.startedAt,
    status: outcome.status,
    provider: outcome.providerSlug,
    model: outcome.model,
    route: run.origin.routeSlug,
    finishedAt: outcome.finishedAt,
    finishReason: outcome.finishReason,
    errorCode: outcome.errorCode,
    errorMessage: outcome.errorMessage,
    usage: outcome.usage,
    isEstimated: outcome.isEstimated,
    cost: outcome.cost,
    latencyMs: outcome.latencyMs,
    timeToFirstTokenMs: outcome.timeToFirstTokenMs,
    targetId: outcome.targetId,
    isCached: outcome.isCached,
    warnings: outcome.warnings,
    attempts: run.reports,
  };
}
