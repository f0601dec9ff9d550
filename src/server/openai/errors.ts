import type { LoggedRequest } from '../../control/completions/completions.ts';
import {
  ERROR_CODES,
  OverloadedError,
  RateLimitedError,
  type SignalboxError,
  ValidationError,
} from '../../platform/errors.ts';
import { toUsd } from '../../platform/money.ts';

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
      ...more,
    },
  };
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
