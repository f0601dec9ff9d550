import type { SignalboxError } from '../platform/errors.ts';
import type { Picodollars } from '../platform/money.ts';
import type { Caller } from './admission/caller.ts';
import type { Usage } from './ledger/prices.ts';
import type { AttemptOutcome, CompletionOutcome, Door, Operation } from './ledger/records.ts';
import type { ExactTarget } from './routing/exact-target.ts';
import type { PowerLevel } from './routing/power-level.ts';
import type { Chunk } from './upstream/chunk.ts';

/** A client's request as the doors hand it to the gateway. */
export interface CompletionRequest {
  /** A UUIDv7 of the door's, so that one id finds the request everywhere; made by the gateway when absent. */
  requestId?: string;
  caller: Caller;
  door: Door;
  operation: Operation;
  /** An OpenAI chat completions or embeddings body, exactly as received; the doors do not look into it. */
  body: Buffer;
  /** Aborts when the client leaves. A door may tell the gateway by `leave(requestId)` instead, where there is no `key`. */
  signal?: AbortSignal;
  /**
   * The caller's own name for the request, which fits `CALLER_KEY`. Whoever asks the same by the same name gets the same
   * completion from its first event on, while it runs and for some time after, whether streamed or not. It ends early
   * when the last of them leaves: at once when their signal aborts by a CancelledError, otherwise after the grace.
   */
  key?: string;
  /** The client has the upstream's events before this one, so nothing is begun for it. Only with `key`. */
  resumeFrom?: number;
  /** Up to 10 names with values. */
  tags: Readonly<Record<string, string>>;
  /** Headers for the sandbox provider alone (`x-sandbox`). */
  sandbox: string | null;
  /** Sends to this provider alone, enabled or not, whatever the body's `model` says. */
  target?: ExactTarget;
  /** Which models routes that allow it narrow their candidates to; absent: the user's own preference. */
  powerLevel?: PowerLevel;
  /** What the requests of a session have in common, for routes whose split is sticky by session. */
  sessionKey?: string;
  /** The client can discard what it has of an answer when another target begins anew. */
  acceptsRestart?: boolean;
}

/** What is known when the first meaningful event arrives. */
export interface AnswerHead {
  requestId: string;
  /** The provider's slug. */
  provider: string;
  /** The name sent upstream; the answer says which model really answered. */
  model: string;
  /** The route's slug; null when the client named a model. */
  route: string | null;
  /** The target of the route: in an experiment, the variant. Null: there is none. */
  targetId: string | null;
  /** Upstream calls made so far; 0: a cached answer. */
  attempts: number;
  isCached: boolean;
  /** What of the request the provider did not get as it was sent, a sentence each. */
  warnings: readonly string[];
  startedAt: number;
}

/** A fragment of a tool call in a stream. */
export interface ToolCallDelta {
  index: number;
  id: string | null;
  name: string | null;
  arguments: string;
}

/** One event of an upstream's stream: the JSON text as it came and what Signalbox reads in it. */
export interface StreamEvent {
  /** Numbers the upstream's events from 0. */
  seq: number;
  data: string;
  text: string;
  reasoning: string;
  toolCalls: readonly ToolCallDelta[];
}

/** One upstream call, as callers see it. */
export interface AttemptReport extends AttemptOutcome {
  id: string;
  number: number;
  provider: string;
  model: string;
  /** The route's target that it went to. */
  targetId: string | null;
  /** The key was the caller's own. */
  usedOwnKey: boolean;
  startedAt: number;
  /** Picodollars that were set aside for it; null: nothing limited it. */
  held: Picodollars | null;
}

/** The facts of a completion that has ended. */
export interface CompletionReport extends Omit<CompletionOutcome, 'providerId' | 'providerSlug' | 'model'> {
  requestId: string;
  startedAt: number;
  provider: string | null;
  model: string | null;
  route: string | null;
  usage: Usage;
  cost: Picodollars | null;
  attempts: readonly AttemptReport[];
}

/**
 * What a completion yields, in this order: `admitted`, `started` once, then `events` (streamed) or one `body` (not streamed),
 * then `finished`; or `failed` at any point, as the last. `restarted` may come among the `events` of a client that accepts
 * it: all of them before it are void. `finished` and `failed` come after the settlement is durable.
 */
export type CompletionEvent =
  | {
      type: 'admitted';
      requestId: string;
      isStreamed: boolean /** The client asked for the usage of its stream. */;
      wantsUsage: boolean;
    }
  | { type: 'started'; head: AnswerHead }
  | { type: 'restarted'; head: AnswerHead /** What ended the answer before. */; error: SignalboxError }
  | { type: 'events'; events: readonly StreamEvent[] }
  | { type: 'body'; body: Buffer /** What it says. */; chunk: Chunk }
  | {
      type: 'finished';
      report: CompletionReport /** The last usage event, if the client asked for one. */;
      usageEvent: string | null;
    }
  | {
      type: 'failed';
      error: SignalboxError /** Null when nothing was sent upstream. */;
      report: CompletionReport | null;
      requestId: string;
    };
