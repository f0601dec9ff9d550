import type { ErrorCode } from '../../platform/errors.ts';
import type { CostSource, PriceComponents } from './prices.ts';
import type { Door, Operation, RequestStatus } from './records.ts';

/** The records of journal format 1, as they stand in its JSON. Bigints are strings; a new member goes to the end. */

export type UsageTuple = [
  input: number | null,
  output: number | null,
  cached: number | null,
  cacheWrite: number | null,
  reasoning: number | null,
  cacheWrite1h?: number | null,
];

export type DecisionTuple = [
  candidates: string,
  health: string,
  at: number,
  turn: number | null,
  slot: number | null,
  modelTurns: readonly number[] | null,
  plan: readonly number[],
];

export type IntentTuple = [
  kind: 'i',
  completionId: string,
  startedAt: number,
  door: Door,
  isStreamed: boolean,
  userId: string | null,
  apiKeyId: string | null,
  routeId: string | null,
  routeSlug: string | null,
  requestedModel: string | null,
  configVersion: string,
  tags: [name: string, value: string][],
  attemptId: string,
  number: number,
  attemptStartedAt: number,
  providerId: string,
  providerSlug: string,
  providerKeyId: string | null,
  model: string,
  priceVersionId: string | null,
  estimatedInputTokens: number,
  estimatedCost: string | null,
  maxLiability: string | null,
  operation?: Operation,
  usedOwnKey?: boolean,
  decision?: DecisionTuple | null,
  targetId?: string | null,
  hold?: HoldTuple | null,
];

export type HoldTuple = [holderId: string, amount: string, ...allowanceIds: string[]];

export type AttemptTuple = [
  status: RequestStatus,
  finishedAt: number,
  upstreamStatus: number | null,
  answeredModel: string | null,
  finishReason: string | null,
  errorCode: ErrorCode | null,
  errorMessage: string | null,
  usage: UsageTuple,
  isEstimated: boolean,
  cost: string | null,
  latencyMs: number,
  timeToFirstTokenMs: number | null,
  costSource?: CostSource | null,
  /** Absent: that of the intent. */
  priceVersionId?: string | null,
];

export type CompletionTuple = [
  status: RequestStatus,
  finishedAt: number,
  finishReason: string | null,
  errorCode: ErrorCode | null,
  errorMessage: string | null,
  usage: UsageTuple,
  isEstimated: boolean,
  cost: string | null,
  latencyMs: number,
  timeToFirstTokenMs: number | null,
  providerId: string,
  providerSlug: string,
  model: string,
  warnings: string[],
  targetId?: string | null,
  isCached?: boolean,
];

export type SettlementTuple = [
  kind: 's',
  completionId: string,
  number: number,
  attempt: AttemptTuple,
  completion: CompletionTuple | null,
];

/** A completion that made no attempt. */
export type UnattemptedTuple = [kind: 'c', origin: OriginTuple, completion: CompletionTuple];

export type OriginTuple = [
  completionId: string,
  startedAt: number,
  door: Door,
  operation: Operation,
  isStreamed: boolean,
  userId: string | null,
  apiKeyId: string | null,
  routeId: string | null,
  routeSlug: string | null,
  requestedModel: string | null,
  configVersion: string,
  tags: [name: string, value: string][],
  decision: DecisionTuple | null,
];

export type PriceTuple = [kind: 'p', id: string, components: PriceComponents];

export type FactTuple = [kind: 'f', id: string, content: unknown];
