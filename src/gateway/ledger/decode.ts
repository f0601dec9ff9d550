import { picodollars } from '../../platform/money.ts';
import type { Decision, RoutingFact } from '../routing/decision.ts';
import { impliedCostSource, type PriceVersion, type Usage } from './prices.ts';
import type { AttemptOutcome, CompletionOrigin, CompletionOutcome, Hold, Intent } from './records.ts';
import { moneyOf } from './storable.ts';
import type {
  AttemptTuple,
  CompletionTuple,
  DecisionTuple,
  FactTuple,
  HoldTuple,
  IntentTuple,
  PriceTuple,
  SettlementTuple,
  UnattemptedTuple,
  UsageTuple,
} from './tuples.ts';

/** A record of the journal. A settlement names its attempt; what the intent says is not repeated. */
export type JournalEntry =
  | { kind: 'INTENT'; intent: Intent }
  | {
      kind: 'SETTLEMENT';
      completionId: string;
      number: number;
      attempt: JournaledOutcome;
      completion: CompletionOutcome | null;
    }
  /** A completion that made no attempt. */
  | { kind: 'UNATTEMPTED'; origin: CompletionOrigin; completion: CompletionOutcome }
  /** Comes before the first record that names it. */
  | { kind: 'PRICE'; price: PriceVersion }
  /** As well. */
  | { kind: 'FACT'; fact: RoutingFact };

/** An outcome beside its intent. Without a price version it has that of the intent. */
export type JournaledOutcome = Omit<AttemptOutcome, 'priceVersionId'> & { priceVersionId?: string | null };

/** What any of the encoders wrote, also of an earlier version. */
export function decodeEntry(json: string): JournalEntry {
  const tuple = JSON.parse(json) as IntentTuple | SettlementTuple | UnattemptedTuple | PriceTuple | FactTuple;
  switch (tuple[0]) {
    case 'i':
      return decodeIntent(tuple);
    case 's':
      return decodeSettlement(tuple);
    case 'c':
      return decodeUnattempted(tuple);
    case 'p':
      return { kind: 'PRICE', price: { id: tuple[1], components: tuple[2] } };
    case 'f':
      return { kind: 'FACT', fact: { id: tuple[1], content: tuple[2] } };
  }
}

function decodeIntent(tuple: IntentTuple): JournalEntry {
  const [
    ,
    completionId,
    startedAt,
    door,
    isStreamed,
    userId,
    apiKeyId,
    routeId,
    routeSlug,
    requestedModel,
    configVersion,
    tags,
    attemptId,
    number,
    attemptStartedAt,
    providerId,
    providerSlug,
    providerKeyId,
    model,
    priceVersionId,
    estimatedInputTokens,
    estimatedCost,
    maxLiability,
    operation = 'CHAT',
    usedOwnKey = false,
    decision = null,
    targetId = null,
    hold = null,
  ] = tuple;
  const origin = {
    completionId,
    startedAt,
    door,
    operation,
    isStreamed,
    userId,
    apiKeyId,
    routeId,
    routeSlug,
    requestedModel,
    configVersion: BigInt(configVersion),
    decision: decodeDecision(decision),
    tags: Object.fromEntries(tags),
  };
  const intent = {
    origin,
    attemptId,
    number,
    startedAt: attemptStartedAt,
    providerId,
    providerSlug,
    providerKeyId,
    targetId,
    usedOwnKey,
    model,
    priceVersionId,
    estimate: { inputTokens: estimatedInputTokens, cost: moneyOf(estimatedCost) },
    maxLiability: moneyOf(maxLiability),
    hold: hold && decodeHold(hold),
  };
  return { kind: 'INTENT', intent };
}

function decodeSettlement([, completionId, number, attempt, completion]: SettlementTuple): JournalEntry {
  return {
    kind: 'SETTLEMENT',
    completionId,
    number,
    attempt: decodeAttempt(attempt),
    completion: completion && decodeCompletion(completion),
  };
}

function decodeUnattempted([, origin, completion]: UnattemptedTuple): JournalEntry {
  const [completionId, startedAt, door, operation, isStreamed, userId, apiKeyId, routeId, ...rest] = origin;
  const [routeSlug, requestedModel, configVersion, tags, decision] = rest;
  return {
    kind: 'UNATTEMPTED',
    origin: {
      completionId,
      startedAt,
      door,
      operation,
      isStreamed,
      userId,
      apiKeyId,
      routeId,
      routeSlug,
      requestedModel,
      configVersion: BigInt(configVersion),
      decision: decodeDecision(decision),
      tags: Object.fromEntries(tags),
    },
    completion: decodeCompletion(completion),
  };
}

function decodeDecision(tuple: DecisionTuple | null): Decision | null {
  if (!tuple) return null;
  const [candidates, health, at, turn, slot, modelTurns, plan] = tuple;
  return { candidates, health, at, turn, slot, modelTurns, plan };
}

function decodeHold([holderId, amount, ...allowanceIds]: HoldTuple): Hold {
  return { holderId, amount: picodollars(BigInt(amount)), allowanceIds };
}

function decodeAttempt(tuple: AttemptTuple): JournaledOutcome {
  const [status, finishedAt, upstreamStatus, answeredModel, finishReason, errorCode, errorMessage, usage, ...rest] =
    tuple;
  const [isEstimated, costText, latencyMs, timeToFirstTokenMs, costSource, priceVersionId] = rest;
  const cost = moneyOf(costText);
  return {
    status,
    finishedAt,
    upstreamStatus,
    answeredModel,
    finishReason,
    errorCode,
    errorMessage,
    usage: decodeUsage(usage),
    isEstimated,
    cost,
    costSource: costSource === undefined ? impliedCostSource(cost, usage[0]) : costSource,
    ...(priceVersionId === undefined ? {} : { priceVersionId }),
    latencyMs,
    timeToFirstTokenMs,
  };
}

function decodeCompletion(tuple: CompletionTuple): CompletionOutcome {
  const [status, finishedAt, finishReason, errorCode, errorMessage, usage, isEstimated, cost, ...rest] = tuple;
  const [latencyMs, timeToFirstTokenMs, providerId, providerSlug, model, warnings, targetId = null, isCached = false] =
    rest;
  return {
    status,
    finishedAt,
    finishReason,
    errorCode,
    errorMessage,
    usage: decodeUsage(usage),
    isEstimated,
    cost: moneyOf(cost),
    latencyMs,
    timeToFirstTokenMs,
    providerId,
    providerSlug,
    model,
    targetId,
    isCached,
    warnings,
  };
}

function decodeUsage(tuple: UsageTuple): Usage {
  const [inputTokens, outputTokens, cachedTokens, cacheWriteTokens, reasoningTokens, cacheWrite1hTokens = null] = tuple;
  return { inputTokens, outputTokens, cachedTokens, cacheWriteTokens, cacheWrite1hTokens, reasoningTokens };
}
