import { isUuid } from '../../platform/ids.ts';
import type { Decision, RoutingFact } from '../routing/decision.ts';
import type { PriceVersion, Usage } from './prices.ts';
import type { CompletionOrigin, CompletionOutcome, Hold, Intent, Settlement } from './records.ts';
import {
  MAX_BIGINT,
  messageText,
  moneyText,
  nameText,
  optionalMessage,
  optionalName,
  optionalWhole,
  requireUuid,
  storableJson,
  timeValue,
  wholeNumber,
} from './storable.ts';
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

const MAX_TAGS = 32;
const MAX_WARNINGS = 20;
const MAX_PLANNED = 1_000;
const MAX_FACT_BYTES = 256 << 10;

/**
 * An intent as one line of JSON. Only what Postgres takes is ever written: texts are cut and cleaned, numbers are held
 * within their columns, so that no record can stop the drain.
 * @throws TypeError when an id is not a UUID: that is a bug, and nothing was dispatched yet.
 */
export function encodeIntent(intent: Intent): string {
  const { origin } = intent;
  requireOrigin(origin);
  for (const id of [intent.attemptId, intent.providerId]) requireUuid(id);
  for (const id of [intent.providerKeyId, intent.targetId]) if (id !== null) requireUuid(id);
  const tuple: IntentTuple = [
    'i',
    origin.completionId,
    timeValue(origin.startedAt),
    origin.door,
    origin.isStreamed,
    origin.userId,
    origin.apiKeyId,
    origin.routeId,
    optionalName(origin.routeSlug),
    optionalName(origin.requestedModel),
    origin.configVersion.toString(),
    tagPairs(origin.tags),
    intent.attemptId,
    wholeNumber(intent.number),
    timeValue(intent.startedAt),
    intent.providerId,
    nameText(intent.providerSlug),
    intent.providerKeyId,
    nameText(intent.model),
    optionalName(intent.priceVersionId),
    wholeNumber(intent.estimate.inputTokens),
    moneyText(intent.estimate.cost),
    moneyText(intent.maxLiability),
    origin.operation,
    intent.usedOwnKey,
    decisionTuple(origin.decision),
    intent.targetId,
    holdTuple(intent.hold),
  ];
  return storableJson(tuple);
}

/** A settlement as one line of JSON, held to the same limits. */
export function encodeSettlement({ intent, attempt, completion }: Settlement): string {
  const outcome: AttemptTuple = [
    attempt.status,
    timeValue(attempt.finishedAt),
    optionalWhole(attempt.upstreamStatus),
    optionalName(attempt.answeredModel),
    optionalName(attempt.finishReason),
    attempt.errorCode,
    optionalMessage(attempt.errorMessage),
    usageTuple(attempt.usage),
    attempt.isEstimated,
    moneyText(attempt.cost),
    wholeNumber(attempt.latencyMs),
    optionalWhole(attempt.timeToFirstTokenMs),
    attempt.costSource,
  ];
  if (attempt.priceVersionId !== intent.priceVersionId) outcome.push(optionalName(attempt.priceVersionId));
  const tuple: SettlementTuple = [
    's',
    intent.origin.completionId,
    wholeNumber(intent.number),
    outcome,
    completion && completionTuple(completion, intent.providerId),
  ];
  return storableJson(tuple);
}

/**
 * A completion without attempts as one line of JSON, held to the same limits.
 * @throws TypeError when an id is not a UUID.
 */
export function encodeUnattempted(origin: CompletionOrigin, outcome: CompletionOutcome): string {
  requireOrigin(origin);
  requireUuid(outcome.providerId);
  const tuple: UnattemptedTuple = [
    'c',
    [
      origin.completionId,
      timeValue(origin.startedAt),
      origin.door,
      origin.operation,
      origin.isStreamed,
      origin.userId,
      origin.apiKeyId,
      origin.routeId,
      optionalName(origin.routeSlug),
      optionalName(origin.requestedModel),
      origin.configVersion.toString(),
      tagPairs(origin.tags),
      decisionTuple(origin.decision),
    ],
    completionTuple(outcome, outcome.providerId),
  ];
  return storableJson(tuple);
}

/** A price as one line of JSON. */
export function encodePrice({ id, components }: PriceVersion): string {
  const tuple: PriceTuple = ['p', id, components];
  return storableJson(tuple);
}

/** A fact as one line of JSON. Null: it is larger than 256 KiB, or says nothing. */
export function encodeFact({ id, content }: RoutingFact): string | null {
  const tuple: FactTuple = ['f', nameText(id), content];
  if (content === null || content === undefined) return null;
  const json = storableJson(tuple);
  return Buffer.byteLength(json) > MAX_FACT_BYTES ? null : json;
}

function requireOrigin({ completionId, userId, apiKeyId, routeId }: CompletionOrigin): void {
  requireUuid(completionId);
  for (const id of [userId, apiKeyId, routeId]) if (id !== null) requireUuid(id);
}

/** Numbers stay as they are, for the decision is made again from them. One that plans too much is not recorded. */
function decisionTuple(decision: Decision | null): DecisionTuple | null {
  if (!decision || decision.plan.length > MAX_PLANNED) return null;
  const { candidates, health, at, turn, slot, modelTurns, plan } = decision;
  return [nameText(candidates), nameText(health), at, turn, slot, modelTurns, plan];
}

/**
 * Exact: what is spent of a lease is counted by it.
 * @throws TypeError when an id is not a UUID, or the amount is no BIGINT.
 */
function holdTuple(hold: Hold | null): HoldTuple | null {
  if (!hold) return null;
  const { holderId, amount, allowanceIds } = hold;
  for (const id of [holderId, ...allowanceIds]) requireUuid(id);
  if (amount < 0n || amount > MAX_BIGINT) throw new TypeError(`A hold of ${amount} picodollars is too large.`);
  return [holderId, amount.toString(), ...allowanceIds];
}

/** @param providerId what stands for an id that is not a UUID */
function completionTuple(completion: CompletionOutcome, providerId: string): CompletionTuple {
  const { targetId } = completion;
  return [
    completion.status,
    timeValue(completion.finishedAt),
    optionalName(completion.finishReason),
    completion.errorCode,
    optionalMessage(completion.errorMessage),
    usageTuple(completion.usage),
    completion.isEstimated,
    moneyText(completion.cost),
    wholeNumber(completion.latencyMs),
    optionalWhole(completion.timeToFirstTokenMs),
    isUuid(completion.providerId) ? completion.providerId : providerId,
    nameText(completion.providerSlug),
    nameText(completion.model),
    completion.warnings.slice(0, MAX_WARNINGS).map(messageText),
    targetId !== null && isUuid(targetId) ? targetId : null,
    completion.isCached,
  ];
}

function usageTuple(usage: Usage): UsageTuple {
  return [
    optionalWhole(usage.inputTokens),
    optionalWhole(usage.outputTokens),
    optionalWhole(usage.cachedTokens),
    optionalWhole(usage.cacheWriteTokens),
    optionalWhole(usage.reasoningTokens),
    optionalWhole(usage.cacheWrite1hTokens),
  ];
}

function tagPairs(tags: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(tags)
    .slice(0, MAX_TAGS)
    .map(([name, value]) => [nameText(name), nameText(value)]);
}
