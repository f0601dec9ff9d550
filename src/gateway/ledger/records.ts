import type { ErrorCode } from '../../platform/errors.ts';
import type { Picodollars } from '../../platform/money.ts';
import type { Decision, RoutingFact } from '../routing/decision.ts';
import type { CostSource, PriceVersion, Usage } from './prices.ts';

export type RequestStatus = 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | 'INDETERMINATE';

export type Door = 'OPENAI' | 'GRAPHQL';

/** What was asked for: a chat completion, or embeddings. */
export type Operation = 'CHAT' | 'EMBEDDINGS';

/** What is known of a completion before its first attempt; enough to write its row if the server dies. */
export interface CompletionOrigin {
  completionId: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  door: Door;
  operation: Operation;
  isStreamed: boolean;
  userId: string | null;
  apiKeyId: string | null;
  routeId: string | null;
  routeSlug: string | null;
  requestedModel: string | null;
  configVersion: bigint;
  /** Null: no decision was taken, because the target was named exactly. */
  decision: Decision | null;
  tags: Readonly<Record<string, string>>;
}

/** Written before an upstream call is dispatched. */
export interface Intent {
  origin: CompletionOrigin;
  attemptId: string;
  /** From 1. */
  number: number;
  startedAt: number;
  providerId: string;
  providerSlug: string;
  providerKeyId: string | null;
  /** The target of the route that it goes to; null: it takes no route, or one without targets. */
  targetId: string | null;
  /** The key is the caller's own: what it costs is not the system's. */
  usedOwnKey: boolean;
  /** The name sent upstream. */
  model: string;
  /** What it is going to be priced with, if the model that is asked for answers. */
  priceVersionId: string | null;
  /** What is posted if the outcome is never known: the input estimated from its bytes. */
  estimate: { inputTokens: number; cost: Picodollars | null };
  /** The most the call can cost; null when the price or the output limit is unknown. */
  maxLiability: Picodollars | null;
  /** Null: no hard budget and no credits limit it. */
  hold: Hold | null;
}

/** Money set aside for one attempt, the same amount of each allowance that limits it. */
export interface Hold {
  /** The process whose leases it comes from. */
  holderId: string;
  /** Periods of hard budgets, and the caller's credits. */
  allowanceIds: readonly string[];
  amount: Picodollars;
}

/** How an attempt ended. */
export interface AttemptOutcome {
  status: RequestStatus;
  finishedAt: number;
  upstreamStatus: number | null;
  answeredModel: string | null;
  finishReason: string | null;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
  usage: Usage;
  /** The usage was counted here, because the provider sent none. */
  isEstimated: boolean;
  cost: Picodollars | null;
  /** Null: the cost is unknown. */
  costSource: CostSource | null;
  /** The price of the model that answered; null where it is unknown, or not what the cost comes from. */
  priceVersionId: string | null;
  latencyMs: number;
  timeToFirstTokenMs: number | null;
}

/** How the whole completion ended; its usage and cost are the sums over its attempts. */
export interface CompletionOutcome {
  status: RequestStatus;
  finishedAt: number;
  finishReason: string | null;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
  usage: Usage;
  isEstimated: boolean;
  cost: Picodollars | null;
  latencyMs: number;
  timeToFirstTokenMs: number | null;
  providerId: string;
  providerSlug: string;
  model: string;
  /** The target of the route that the last attempt went to. */
  targetId: string | null;
  /** A cached answer served it: there was no attempt, and it costs nothing. */
  isCached: boolean;
  warnings: readonly string[];
}

/** Written when an attempt ends; with `completion` when it was the last one. */
export interface Settlement {
  intent: Intent;
  attempt: AttemptOutcome;
  completion: CompletionOutcome | null;
}

/**
 * What the gateway needs of the ledger. The promises resolve once the record is durable. `price` is the version that the
 * record names: the database gets it no later than the row, if it does not have it.
 */
export interface LedgerWriter {
  intend(intent: Intent, price?: PriceVersion | null): Promise<void>;
  settle(settlement: Settlement, price?: PriceVersion | null): Promise<void>;
  /** Writes a completion that made no attempt. */
  complete(origin: CompletionOrigin, outcome: CompletionOutcome): Promise<void>;
  /**
   * Writes what the decisions of the following records name, if the database may not have it; to be called in the turn
   * of the first one. False: it is larger than 256 KiB, or the journal is full, and it is not kept, so that they cannot
   * be made again.
   */
  record(fact: RoutingFact): boolean;
}
