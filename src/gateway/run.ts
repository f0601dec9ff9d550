import { type SignalboxError, shorten } from '../platform/errors.ts';
import type { Picodollars } from '../platform/money.ts';
import type { Admitted } from './admission/admit.ts';
import type { Attempt } from './attempt.ts';
import type { AnswerHead, AttemptReport, CompletionReport, CompletionRequest } from './completion.ts';
import { totalsOf } from './ledger/ledger.ts';
import { UNKNOWN_USAGE } from './ledger/prices.ts';
import type { AttemptOutcome, CompletionOrigin, CompletionOutcome, RequestStatus } from './ledger/records.ts';
import type { CachedAnswer } from './response-cache.ts';
import type { Target } from './routing/candidates.ts';
import type { Choice } from './routing/choice.ts';
import type { RoutingFact } from './routing/decision.ts';
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
  /** The images behind the addresses in the request, or why they cannot be had; null: they were not needed so far. */
  images: Promise<ReadonlyMap<string, InlineImage>> | null;
  /** The attempts that have ended. */
  reports: AttemptReport[];
  /** The attempt that is on its way: intended, not yet settled. */
  open: Attempt | null;
  /** The last attempt that has ended, while the completion has not. */
  last: Attempt | null;
  /** What of the request the provider did not get as it was sent. */
  warnings: readonly string[];
  /** The client has something of the answer; from here on another target can only begin anew. */
  hasStarted: boolean;
  /** Number of the next event that goes to the client. */
  nextSeq: number;
  /** What the decision names; on the ledger before the first attempt is. */
  facts: readonly RoutingFact[];
  /** The circuits that let this completion through to a target that was left alone, until that has answered or failed. */
  probe: { target: Target; claims: readonly string[]; isSent: boolean } | null;
  /** Targets that failed. */
  failed: Set<Target>;
  /** Why the answer that had begun broke off, if another target begins anew. */
  brokeOff: SignalboxError | null;
  /** When all attempts together must have ended, in milliseconds since 1970; null: no limit but the providers' own. */
  deadline: number | null;
}

export function startRun(requestId: string, request: CompletionRequest, admitted: Admitted): Run {
  const { caller } = request;
  const choice = choiceOf(admitted);
  const route = choice?.route;
  const startedAt = Date.now();
  const origin: CompletionOrigin = {
    completionId: requestId,
    startedAt,
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
    warnings: choice?.warnings ?? [],
    hasStarted: false,
    nextSeq: 0,
    facts: [],
    probe: null,
    failed: new Set(),
    brokeOff: null,
    deadline: route?.totalTimeoutMs ? startedAt + route.totalTimeoutMs : null,
  };
}

/** What the request's target is picked from; null: it named one exactly. */
export function choiceOf({ destination }: Admitted): Choice | null {
  return 'facts' in destination ? destination : null;
}

/** Ends the call to the provider now. The first reason stays. */
export function cancel(run: Run, reason: SignalboxError): void {
  run.cancelled ??= reason;
  run.exchange?.abort(run.cancelled);
}

/** Waits; leaving ends that, and the next call does not begin. */
export async function pause(run: Run, ms: number): Promise<void> {
  if (run.cancelled) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    const abort = () => {
      clearTimeout(timer);
      resolve();
    };
    run.exchange = { abort };
  });
  run.exchange = null;
}

/** The answer begins: what is known of it now. */
export function startAnswer(run: Run, attempt: Attempt): AnswerHead {
  run.hasStarted = true;
  return {
    requestId: run.requestId,
    provider: attempt.intent.providerSlug,
    model: attempt.intent.model,
    route: run.origin.routeSlug,
    targetId: attempt.intent.targetId,
    attempts: attempt.intent.number,
    isCached: false,
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
    timeToFirstTokenMs: last.firstTokenAt === null ? null : last.firstTokenAt - run.origin.startedAt,
    providerId: last.intent.providerId,
    providerSlug: last.intent.providerSlug,
    model: last.answeredModel ?? last.intent.model,
    targetId: last.intent.targetId,
    isCached: false,
    warnings: run.warnings,
  };
}

/** How a completion ended that an answer from the cache served. */
export function cachedOutcome(run: Run, cached: CachedAnswer, cost: Picodollars): CompletionOutcome {
  const finishedAt = Date.now();
  return {
    status: 'SUCCEEDED',
    finishedAt,
    finishReason: cached.finishReason,
    errorCode: null,
    errorMessage: null,
    usage: { ...UNKNOWN_USAGE, inputTokens: 0, outputTokens: 0, cachedTokens: 0, reasoningTokens: 0 },
    isEstimated: false,
    cost,
    latencyMs: finishedAt - run.origin.startedAt,
    timeToFirstTokenMs: cached.events ? finishedAt - run.origin.startedAt : null,
    providerId: cached.providerId,
    providerSlug: cached.provider,
    model: cached.model,
    targetId: cached.targetId,
    isCached: true,
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
