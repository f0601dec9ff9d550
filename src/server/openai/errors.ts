import {
  ERROR_CODES,
  OverloadedError,
  RateLimitedError,
  type SignalboxError,
  ValidationError,
} from '../../platform/errors.ts';

/** The shape in which every OpenAI client expects an error. */
export function toOpenAIError(error: SignalboxError, requestId: string) {
  const param = error instanceof ValidationError ? error.issues[0]?.path || null : null;
  return {
    error: {
      message: error.message,
      type: ERROR_CODES[error.code].type,
      param,
      code: error.code.toLowerCase(),
      request_id: requestId,
    },
  };
}

/** `retry-after` where the error knows when to come back. */
export function retryHeaders(error: SignalboxError): Record<string, string> {
  if (error instanceof RateLimitedError || error instanceof OverloadedError) {
    return { 'retry-after': String(error.retryAfterSeconds) };
  }
  return {};
}
