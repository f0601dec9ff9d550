import { uuidv7 } from '../../platform/ids.ts';
import { picodollars } from '../../platform/money.ts';
import type { Spending } from '../allowances/post-spending.ts';
import { type Charge, type Correction, type CorrectionReason, effective } from './effective.ts';
import type { Corrected, Entries } from './entries.ts';
import type { PriceVersion, Usage } from './prices.ts';
import type { AttemptOutcome, RequestStatus } from './records.ts';
import type { RollupCorrection } from './rollups.ts';
import type { Series, UsagePlace } from './series.ts';
import { hasTokens, totalsOf } from './settlement.ts';

/** What is charged for something, as the ledger has it. */
export interface Charged extends Charge {
  /** The oldest first. */
  corrections: readonly Correction[];
}

export interface ChargedAttempt extends Charged {
  id: string;
  status: RequestStatus;
  startedAt: number;
  providerId: string;
  providerSlug: string;
  /** What was asked for. */
  model: string;
  answeredModel: string | null;
  usedOwnKey: boolean;
  series: Series;
}

/** A completion with all of its attempts. */
export interface ChargedCompletion {
  id: string;
  /** When it was admitted: its usage counts then. */
  startedAt: number;
  userId: string | null;
  apiKeyId: string | null;
  routeId: string | null;
  series: Series;
  attempts: readonly ChargedAttempt[];
}

export interface ChargedEvent extends Charged, UsagePlace {
  id: string;
  occurredAt: number;
  /** A completion's, and an attempt's: it counts as one of each. */
  series: readonly Series[];
}

/** What is true of an attempt or a usage event from now on. */
export interface Change extends Pick<Correction, 'usage' | 'cost' | 'costSource'> {
  reason: CorrectionReason;
  /** Null: the cost does not come from a price. */
  price: PriceVersion | null;
  correctedBy: string | null;
}

/** The id of the series' roll-ups. */
export type SeriesId = (series: Series) => string;

/**
 * Enters changes of some of a completion's attempts: their corrections, the differences in the roll-ups of those
 * attempts, and those in the roll-ups of the completion. There counts, before and after, what `totalsOf` makes of all
 * attempts: no cost while one of them has none.
 */
export function correctCompletion(
  entries: Entries,
  completion: ChargedCompletion,
  changes: ReadonlyMap<string, Change>,
  idOf: SeriesId,
): void {
  const { startedAt, attempts } = completion;
  for (const attempt of attempts) {
    const change = changes.get(attempt.id);
    if (!change) continue;
    const { userId, apiKeyId, routeId } = completion;
    const subject = { attemptId: attempt.id, completionId: completion.id };
    const before = effective(attempt, attempt.corrections);
    const amount = addCorrection(entries, subject, before, change);
    entries.differences.push({ ...differenceOf(before, change), seriesId: idOf(attempt.series), startedAt });
    const spender = { userId, apiKeyId, routeId, providerId: attempt.providerId };
    const creditsOf = attempt.usedOwnKey ? null : userId;
    entries.spendings.push({ ...spender, at: startedAt, amount, creditsOf, hold: null });
  }
  const before = attempts.map((attempt) => effective(attempt, attempt.corrections));
  const after = before.map((attempt) => ({ ...attempt, ...changes.get(attempt.id) }));
  const difference = differenceOf(totalsOf(before), totalsOf(after));
  entries.differences.push({ ...difference, seriesId: idOf(completion.series), startedAt });
}

/** Enters a change of a usage event. */
export function correctEvent(entries: Entries, event: ChargedEvent, change: Change, idOf: SeriesId): void {
  const { userId, apiKeyId, providerId, occurredAt } = event;
  const before = effective(event, event.corrections);
  const amount = addCorrection(entries, { usageEventId: event.id }, before, change);
  for (const series of event.series)
    entries.differences.push({ ...differenceOf(before, change), seriesId: idOf(series), startedAt: occurredAt });
  entries.spendings.push({ ...spendingOfEvent({ userId, apiKeyId, providerId }), at: occurredAt, amount });
}

/** Usage made elsewhere is paid elsewhere: it is free of credits. It took no route, and nothing was set aside for it. */
export function spendingOfEvent(
  spender: Pick<ChargedEvent, 'userId' | 'apiKeyId' | 'providerId'>,
): Omit<Spending, 'at' | 'amount'> {
  return { ...spender, routeId: null, creditsOf: null, hold: null };
}

/** @returns the difference that it makes */
function addCorrection(entries: Entries, subject: Corrected, before: Charge, change: Change): bigint {
  const { reason, usage, cost, costSource, price, correctedBy } = change;
  const difference = picodollars(cost - (before.cost ?? 0n));
  if (price) entries.prices.push(price);
  entries.corrections.push({
    ...{ id: uuidv7(), subject, reason, usage, cost, costSource, difference, correctedBy },
    priceVersionId: price?.id ?? null,
    wasUnpriced: before.cost === null,
  });
  return difference;
}

function differenceOf(
  before: Pick<AttemptOutcome, 'usage' | 'cost'>,
  after: Pick<AttemptOutcome, 'usage' | 'cost'>,
): Omit<RollupCorrection, 'seriesId' | 'startedAt'> {
  const tokens = (name: keyof Usage) => (after.usage[name] ?? 0) - (before.usage[name] ?? 0);
  return {
    usage: {
      inputTokens: tokens('inputTokens'),
      outputTokens: tokens('outputTokens'),
      cachedTokens: tokens('cachedTokens'),
      reasoningTokens: tokens('reasoningTokens'),
    },
    cost: (after.cost ?? 0n) - (before.cost ?? 0n),
    unpriced: unpriced(after) - unpriced(before),
  };
}

function unpriced({ usage, cost }: Pick<AttemptOutcome, 'usage' | 'cost'>): number {
  return cost === null && hasTokens(usage) ? 1 : 0;
}
