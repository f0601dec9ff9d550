import type { LoggedRequest } from '../../control/completions/completions.ts';
import {
  BudgetExceededError,
  ERROR_CODES,
  InsufficientCreditsError,
  OverloadedError,
  RateLimitedError,
  type SignalboxError,
  ValidationError,
} from '../../platform/errors.ts';
import { type Picodollars, toUsd } from '../../platform/money.ts';

/** The shape in which every OpenAI client expects an error. @param more members of its own */
export function toOpenAIError(error: SignalboxError, requestId: string, more: object = {}) {
  const param = error instanceof ValidationError ? error.issues[0]?.path || null : null;
  return {
    error: {
      message: error.message,
      type: ERROR_CODES[error.code].type,
      param,
      code: error.code.toLowerCase(),
      request_id: requestId,
      ...shortageOf(error),
      ...more,
    },
  };
}

/** What is left, as the GraphQL API tells it too. Null: the caller may not know it. */
function shortageOf(error: SignalboxError) {
  if (!(error instanceof BudgetExceededError || error instanceof InsufficientCreditsError)) return {};
  const usd = (amount: Picodollars | null) => (amount === null ? null : toUsd(amount));
  const { remaining, limit, openHolds, needed } = error.shortage;
  const amounts = { remaining: usd(remaining), limit: usd(limit), open_holds: usd(openHolds), needed: usd(needed) };
  if (error instanceof InsufficientCreditsError) return amounts;
  return { budget_id: error.budgetId, ...amounts, resets_at: error.resetsAt?.toISOString() ?? null };
}

/** A completion as the ledger has it, for the error that stands in place of its answer. */
export function toOpenAIRecord({ id, status, model, provider, usage, cost }: LoggedRequest) {
  return {
    id,
    status: status.toLowerCase(),
    provider,
    model,
    usage: {
      prompt_tokens: usage.inputTokens,
      completion_tokens: usage.outputTokens,
      is_estimated: usage.isEstimated,
    },
    cost: cost === null ? null : toUsd(cost),
  };
}

/** `retry-after` where the error knows when to come back. */
export function retryHeaders(error: SignalboxError): Record<string, string> {
  if (error instanceof RateLimitedError || error instanceof OverloadedError) {
    return { 'retry-after': String(error.retryAfterSeconds) };
  }
  return {};
}
