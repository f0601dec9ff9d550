import type { Picodollars } from './money.ts';

/** Every stable error code, with the HTTP status it has on `/v1` and the OpenAI error type clients know. */
export const ERROR_CODES = {
  VALIDATION: { status: 400, type: 'invalid_request_error' },
  CONTEXT_LENGTH_EXCEEDED: { status: 400, type: 'invalid_request_error' },
  CONTENT_FILTERED: { status: 400, type: 'invalid_request_error' },
  UNAUTHENTICATED: { status: 401, type: 'authentication_error' },
  INSUFFICIENT_CREDITS: { status: 402, type: 'insufficient_quota' },
  BUDGET_EXCEEDED: { status: 402, type: 'insufficient_quota' },
  FORBIDDEN: { status: 403, type: 'permission_error' },
  PROVIDER_NOT_FOUND: { status: 404, type: 'invalid_request_error' },
  MODEL_NOT_FOUND: { status: 404, type: 'invalid_request_error' },
  ROUTE_NOT_FOUND: { status: 404, type: 'invalid_request_error' },
  NOT_FOUND: { status: 404, type: 'invalid_request_error' },
  CONFLICT: { status: 409, type: 'invalid_request_error' },
  PAYLOAD_TOO_LARGE: { status: 413, type: 'invalid_request_error' },
  RATE_LIMITED: { status: 429, type: 'rate_limit_error' },
  CANCELLED: { status: 499, type: 'request_cancelled' },
  INTERNAL: { status: 500, type: 'server_error' },
  UPSTREAM: { status: 502, type: 'upstream_error' },
  OVERLOADED: { status: 503, type: 'overloaded_error' },
  UPSTREAM_TIMEOUT: { status: 504, type: 'upstream_error' },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What went wrong with one field of an input. `path` is dotted, as the client wrote it. */
export interface ValidationIssue {
  path: string;
  message: string;
}

/**
 * An expected failure: its message is a sentence for the person who caused it, and safe to show.
 * Everything else that is thrown is a bug or a fault and reaches clients only as INTERNAL.
 */
export abstract class SignalboxError extends Error {
  abstract readonly code: ErrorCode;

  /** HTTP status on `/v1`. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

export class ValidationError extends SignalboxError {
  readonly code = 'VALIDATION';
  readonly issues: readonly ValidationIssue[];

  constructor(issues: readonly ValidationIssue[]) {
    super(issues.map((issue) => (issue.path ? `${issue.path}: ${issue.message}` : issue.message)).join('; '));
    this.issues = issues;
  }
}

/**
 * The error for a single thing that is wrong with an input.
 * @param path the field, dotted; empty: the input as a whole
 */
export function invalid(path: string, message: string): ValidationError {
  return new ValidationError([{ path, message }]);
}

export class AuthenticationError extends SignalboxError {
  readonly code = 'UNAUTHENTICATED';
}

export class ForbiddenError extends SignalboxError {
  readonly code = 'FORBIDDEN';
}

export class ProviderNotFoundError extends SignalboxError {
  readonly code = 'PROVIDER_NOT_FOUND';
  readonly availableProviders: readonly string[];

  constructor(name: string, available: readonly { slug: string }[]) {
    const slugs = available.map(({ slug }) => slug);
    super(`There is no provider "${shorten(name)}". Available: ${slugs.join(', ') || 'none'}.`);
    this.availableProviders = slugs;
  }
}

export class ModelNotFoundError extends SignalboxError {
  readonly code = 'MODEL_NOT_FOUND';
  /** Names that look like the one asked for, nearest first. */
  readonly nearest: readonly string[];

  constructor(message: string, nearest: readonly string[] = []) {
    super(nearest.length > 0 ? `${message} Did you mean ${nearest.join(', ')}?` : message);
    this.nearest = nearest;
  }
}

export class RouteNotFoundError extends SignalboxError {
  readonly code = 'ROUTE_NOT_FOUND';
}

export class NotFoundError extends SignalboxError {
  readonly code = 'NOT_FOUND';
}

/** A name is taken, an update was based on a version that is no longer the latest, or a request id was used before. */
export class ConflictError extends SignalboxError {
  readonly code = 'CONFLICT';
  /** The ledger's id of the completion that has the request id; absent: it is about something else. */
  declare readonly completionId?: string;

  constructor(message: string, completionId?: string) {
    super(message);
    if (completionId !== undefined) this.completionId = completionId;
  }
}

/** What is left of a hard budget or of credits, when that is too little. */
export interface Shortage {
  /** Picodollars that are neither spent nor set aside; less than 0 when more was spent than there was. */
  remaining: Picodollars;
  /** Picodollars: the budget's limit, or the credits that were granted. */
  limit: Picodollars;
  /** Picodollars that are set aside for completions which are running. */
  openHolds: Picodollars;
  /** The most that what was asked for can cost, in picodollars. */
  needed: Picodollars;
}

/** What of a shortage a caller is told who spends from a budget together with others: not what they spend. */
export interface HiddenShortage {
  remaining: null;
  limit: null;
  openHolds: null;
  needed: Picodollars;
}

/** A hard budget has too little left for the most that a completion can cost. */
export class BudgetExceededError extends SignalboxError {
  readonly code = 'BUDGET_EXCEEDED';
  /** Null: the caller may not see it. */
  readonly budgetId: string | null;
  readonly scope: string;
  /** Who may see the budget besides admins. */
  readonly ownerId: string | null;
  readonly shortage: Shortage | HiddenShortage;
  /** When the next period begins; null: never. */
  readonly resetsAt: Date | null;

  constructor(
    message: string,
    budget: { id: string | null; scope: string; ownerId: string | null },
    shortage: Shortage | HiddenShortage,
    resetsAt: Date | null,
  ) {
    super(message);
    this.budgetId = budget.id;
    this.scope = budget.scope;
    this.ownerId = budget.ownerId;
    this.shortage = shortage;
    this.resetsAt = resetsAt;
  }
}

/** A user's credits are too few for the most that a completion can cost. */
export class InsufficientCreditsError extends SignalboxError {
  readonly code = 'INSUFFICIENT_CREDITS';
  readonly shortage: Shortage;

  constructor(message: string, shortage: Shortage) {
    super(message);
    this.shortage = shortage;
  }
}

export class PayloadTooLargeError extends SignalboxError {
  readonly code = 'PAYLOAD_TOO_LARGE';
  readonly limitBytes: number;

  constructor(what: string, limitBytes: number) {
    super(`${what} is larger than the limit of ${limitBytes} bytes.`);
    this.limitBytes = limitBytes;
  }
}

export class RateLimitedError extends SignalboxError {
  readonly code = 'RATE_LIMITED';
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds: number) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Draining, full, or the database is away where it is needed. */
export class OverloadedError extends SignalboxError {
  readonly code = 'OVERLOADED';
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds = 5) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export class ContextLengthError extends SignalboxError {
  readonly code = 'CONTEXT_LENGTH_EXCEEDED';
}

export class ContentFilterError extends SignalboxError {
  readonly code = 'CONTENT_FILTERED';
}

/** What is known of a failed upstream call. */
export interface UpstreamFailure {
  provider: string;
  /** HTTP status of the provider's answer; null when there was none. */
  upstreamStatus: number | null;
  /** Upstream calls made so far for the completion. */
  attempts: number;
  /** The provider says that it has too much to do: clients are told so by 503 in place of 502. */
  isOverloaded?: boolean;
}

export class UpstreamError extends SignalboxError {
  readonly code = 'UPSTREAM';
  readonly provider: string;
  readonly upstreamStatus: number | null;
  readonly attempts: number;
  readonly #isOverloaded: boolean;

  constructor(message: string, failure: UpstreamFailure) {
    super(message);
    this.provider = failure.provider;
    this.upstreamStatus = failure.upstreamStatus;
    this.attempts = failure.attempts;
    this.#isOverloaded = failure.isOverloaded ?? false;
  }

  override get status(): number {
    return this.#isOverloaded ? 503 : super.status;
  }
}

export class UpstreamTimeoutError extends SignalboxError {
  readonly code = 'UPSTREAM_TIMEOUT';
  /** Which limit passed. */
  readonly timeout: 'CONNECT' | 'FIRST_TOKEN' | 'STALL' | 'TOTAL';
  readonly attempts: number;

  constructor(message: string, timeout: UpstreamTimeoutError['timeout'], attempts: number) {
    super(message);
    this.timeout = timeout;
    this.attempts = attempts;
  }
}

/** The client left or cancelled. Reaches the ledger, rarely a person. */
export class CancelledError extends SignalboxError {
  readonly code = 'CANCELLED';
}

/** Cuts what a client wrote before it is quoted back. */
export function shorten(text: string, limit = 100): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}…`;
}
