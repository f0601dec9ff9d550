import { isUuid } from '../../platform/ids.ts';
import { impliedCostSource, type PriceVersion, type Usage } from './prices.ts';
import type { AttemptOutcome, CompletionOutcome, Intent, Settlement } from './records.ts';
import {
  messageText,
  moneyOf,
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
import type { AttemptTuple, CompletionTuple, IntentTuple, PriceTuple, SettlementTuple, UsageTuple } from './tuples.ts';

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
  /** Comes before the first record that names it. */
  | { kind: 'PRICE'; price: PriceVersion };

/** An outcome beside its intent. Without a price version it has that of the intent. */
export type JournaledOutcome = Omit<AttemptOutcome, 'priceVersionId'> & { priceVersionId?: string | null };

const MAX_TAGS = 32;
const MAX_WARNINGS = 20;

/**
 * An intent as one line of JSON. Only what Postgres takes is ever written: texts are cut and cleaned, numbers are held
 * within their columns, so that no record can stop the drain.
 * @throws TypeError when an id is not a UUID: that is a bug, and nothing was dispatched yet.
 */
export function encodeIntent(intent: Intent): string {
  const { origin } = intent;
  for (const id of [origin.completionId, intent.attemptId, intent.providerId]) requireUuid(id);
  for (const id of [origin.userId, origin.apiKeyId, origin.routeId, intent.providerKeyId])
    if (id !== null) requireUuid(id);
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
    completion && [
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
      isUuid(completion.providerId) ? completion.providerId : intent.providerId,
      nameText(completion.providerSlug),
      nameText(completion.model),
      completion.warnings.slice(0, MAX_WARNINGS).map(messageText),
    ],
  ];
  return storableJson(tuple);
}

/** A price as one line of JSON. */
export function encodePrice({ id, components }: PriceVersion): string {
  const tuple: PriceTuple = ['p', id, components];
  return storableJson(tuple);
}

/** The inverse of all three. */
export function decodeEntry(json: string): JournalEntry {
  const tuple = JSON.parse(json) as IntentTuple | SettlementTuple | PriceTuple;
  if (tuple[0] === 'p') return { kind: 'PRICE', price: { id: tuple[1], components: tuple[2] } };
  return tuple[0] === 'i' ? decodeIntent(tuple) : decodeSettlement(tuple);
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
    decision: null,
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
    targetId: null,
    usedOwnKey,
    model,
    priceVersionId,
    estimate: { inputTokens: estimatedInputTokens, cost: moneyOf(estimatedCost) },
    maxLiability: moneyOf(maxLiability),
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
  const [latencyMs, timeToFirstTokenMs, providerId, providerSlug, model, warnings] = rest;
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
    targetId: null,
    isCached: false,
    warnings,
  };
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

function decodeUsage(tuple: UsageTuple): Usage {
  const [inputTokens, outputTokens, cachedTokens, cacheWriteTokens, reasoningTokens, cacheWrite1hTokens = null] = tuple;
  return { inputTokens, outputTokens, cachedTokens, cacheWriteTokens, cacheWrite1hTokens, reasoningTokens };
}

function tagPairs(tags: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(tags)
    .slice(0, MAX_TAGS)
    .map(([name, value]) => [nameText(name), nameText(value)]);
}
