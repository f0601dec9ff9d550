import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { OpenAttempt, OpenCompletion } from './open-completions.ts';
import { UNKNOWN_USAGE, type Usage } from './prices.ts';
import type { AttemptOutcome, CompletionOutcome, Settlement } from './records.ts';

const LOST = 'The server stopped while the provider was answering; the cost is an estimate of its input.';
const UNFINISHED = 'The server stopped before the completion ended.';

/** What a completion's attempts used and cost together. */
export interface Totals {
  usage: Usage;
  isEstimated: boolean;
  cost: Picodollars | null;
}

/**
 * Sums attempts. Usage is what is known of it, null when nothing is. Cost is null while an attempt with known tokens has
 * no price, or when no attempt has a cost.
 */
export function totalsOf(attempts: readonly Pick<AttemptOutcome, keyof Totals>[]): Totals {
  const [only, ...others] = attempts;
  if (only && others.length === 0) return { usage: only.usage, isEstimated: only.isEstimated, cost: only.cost };
  const usages = attempts.map((attempt) => attempt.usage);
  const sum = (member: keyof Usage) => {
    const known = usages.flatMap((usage) => usage[member] ?? []);
    return known.length > 0 ? known.reduce((total, tokens) => total + tokens, 0) : null;
  };
  const costs = attempts.flatMap((attempt) => attempt.cost ?? []);
  const isUnpriced = attempts.some(({ cost, usage }) => cost === null && hasTokens(usage));
  return {
    usage: {
      inputTokens: sum('inputTokens'),
      outputTokens: sum('outputTokens'),
      cachedTokens: sum('cachedTokens'),
      cacheWriteTokens: sum('cacheWriteTokens'),
      cacheWrite1hTokens: sum('cacheWrite1hTokens'),
      reasoningTokens: sum('reasoningTokens'),
    },
    isEstimated: attempts.some((attempt) => attempt.isEstimated),
    cost:
      isUnpriced || costs.length === 0 ? null : picodollars(costs.reduce<bigint>((total, cost) => total + cost, 0n)),
  };
}

/** Whether anything is known of what a call used. */
export function hasTokens(usage: Pick<Usage, 'inputTokens' | 'outputTokens'>): boolean {
  return usage.inputTokens !== null || usage.outputTokens !== null;
}

/**
 * The records that close a completion whose server died. A running attempt becomes INDETERMINATE with its estimate
 * posted; the completion becomes INDETERMINATE with the sums of all its attempts.
 * @param lastSeenAt when the server was last known to run, in milliseconds since 1970; the outcomes end there.
 */
export function settlementsOfLost(open: OpenCompletion, lastSeenAt: number): Settlement[] {
  const attempts = open.attempts.map(({ intent, outcome }) => ({
    intent,
    outcome: outcome ?? indeterminate(intent, lastSeenAt),
  }));
  const last = attempts.at(-1);
  if (!last) return [];
  const lost = attempts.filter(({ intent }) =>
    open.attempts.some((known) => known.intent === intent && !known.outcome),
  );
  // With all attempts settled the last one is settled once more: that is ignored, and only brings the end.
  const records = lost.at(-1) === last ? lost : [...lost, last];
  const completion = completionOutcome(open, attempts, lastSeenAt);
  return records.map((record) => ({
    intent: record.intent,
    attempt: record.outcome,
    completion: record === last ? completion : null,
  }));
}

function indeterminate(intent: OpenAttempt['intent'], lastSeenAt: number): AttemptOutcome {
  const finishedAt = Math.max(lastSeenAt, intent.startedAt);
  return {
    status: 'INDETERMINATE',
    finishedAt,
    upstreamStatus: null,
    answeredModel: null,
    finishReason: null,
    errorCode: 'INTERNAL',
    errorMessage: LOST,
    // No output is posted, so that the cost recomputes from the row.
    usage: { ...UNKNOWN_USAGE, inputTokens: intent.estimate.inputTokens, outputTokens: 0 },
    isEstimated: true,
    cost: intent.estimate.cost,
    costSource: intent.estimate.cost === null ? null : 'PRICED',
    priceVersionId: intent.priceVersionId,
    latencyMs: finishedAt - intent.startedAt,
    timeToFirstTokenMs: null,
  };
}

function completionOutcome(
  { origin }: OpenCompletion,
  attempts: readonly { intent: OpenAttempt['intent']; outcome: AttemptOutcome }[],
  lastSeenAt: number,
): CompletionOutcome {
  const { intent, outcome } = attempts.at(-1) as (typeof attempts)[number];
  const finishedAt = Math.max(lastSeenAt, outcome.finishedAt);
  return {
    status: 'INDETERMINATE',
    finishedAt,
    finishReason: null,
    errorCode: 'INTERNAL',
    errorMessage: outcome.status === 'INDETERMINATE' ? LOST : UNFINISHED,
    ...totalsOf(attempts.map((attempt) => attempt.outcome)),
    latencyMs: finishedAt - origin.startedAt,
    timeToFirstTokenMs: null,
    providerId: intent.providerId,
    providerSlug: intent.providerSlug,
    model: outcome.answeredModel ?? intent.model,
    targetId: intent.targetId,
    isCached: false,
    warnings: [],
  };
}
