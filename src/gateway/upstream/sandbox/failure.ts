import { ModelNotFoundError, SignalboxError, ValidationError } from '../../../platform/errors.ts';

/** Why a request gets an error; each dialect has its own words for it. */
export type Failure =
  /** The request is at fault. */
  | { type: 'wrong'; status: number; message: string; param: string | null; code: WrongCode | null }
  /** An HTTP status that was asked for; `retryAfter` in seconds. */
  | { type: 'status'; status: number; retryAfter: number | null }
  /** The sandbox is at fault, or plays that it is. */
  | { type: 'failed'; message: string }
  | { type: 'context-length'; promptTokens: number }
  /** The conversation ends with the assistant. */
  | { type: 'prefill' }
  | { type: 'key-rejected' }
  | { type: 'key-limited'; retryAfter: number };

export type WrongCode = 'model_not_found' | 'unknown_url' | 'method_not_supported';

/** An error as it is sent. */
export interface ErrorAnswer {
  status: number;
  headers: Record<string, string>;
  /** JSON text. */
  body: string;
}

/** What was thrown while a request was read or answered. */
export function failureOf(thrown: unknown): Failure {
  if (!(thrown instanceof SignalboxError)) {
    return { type: 'failed', message: `The sandbox has a bug: ${String(thrown)}` };
  }
  const [issue] = thrown instanceof ValidationError ? thrown.issues : [];
  const code = thrown instanceof ModelNotFoundError ? 'model_not_found' : null;
  const message = issue?.message ?? thrown.message;
  return { type: 'wrong', status: thrown.status, message, param: issue?.path || null, code };
}

/** Seconds to wait, for the header of that name; no header where nobody said how long. */
export function retryAfterHeader(seconds: number | null): Record<string, string> {
  return seconds === null ? {} : { 'retry-after': String(seconds) };
}
