import type { IncomingHttpHeaders } from 'node:http';
import {
  ContentFilterError,
  ContextLengthError,
  RateLimitedError,
  type SignalboxError,
  shorten,
  UpstreamError,
  UpstreamTimeoutError,
  ValidationError,
} from '../../platform/errors.ts';
import { isRecord } from './body.ts';
import { withoutSecret } from './without-secret.ts';

/**
 * What may do better after a failure: nothing, because the request itself is at fault; the same target a little later;
 * another key, because only the key was at fault; another target; a model with a larger context.
 */
export type Remedy = 'NONE' | 'SAME_TARGET' | 'OTHER_KEY' | 'OTHER_TARGET' | 'LARGER_MODEL';

/** A failed upstream call: the error for the caller, and what may do better. */
export interface Failure {
  error: SignalboxError;
  remedy: Remedy;
  /** How long the provider asks to be left alone, in milliseconds; null: it did not say. */
  retryAfterMs: number | null;
  upstreamStatus: number | null;
}

/** What a failure needs to know of its attempt. */
export interface AttemptPlace {
  provider: string;
  /** Number of the attempt, from 1. */
  attempt: number;
  /** The key that was sent; cut out of anything that is quoted. */
  secret: string | null;
}

/**
 * An HTTP answer that is an error, or a 200 whose body is one.
 * @param body the answer's text as far as it was read
 */
export function readFailure(status: number, headers: IncomingHttpHeaders, body: string, place: AttemptPlace): Failure {
  const error = parseError(body);
  const said = describe(error, body, place.secret);
  const { provider, attempt } = place;
  const upstream = (message: string) =>
    new UpstreamError(message, { provider, upstreamStatus: status, attempts: attempt });
  const failed = (failure: SignalboxError, remedy: Remedy): Failure => ({
    error: failure,
    remedy,
    retryAfterMs: null,
    upstreamStatus: status,
  });

  if (isContextLength(error, said)) return failed(new ContextLengthError(`${provider}: ${said}`), 'LARGER_MODEL');
  if (codeOf(error) === 'content_filter' || codeOf(error) === 'content_policy_violation') {
    return failed(new ContentFilterError(`${provider}: ${said}`), 'NONE');
  }
  switch (effectiveStatus(status, error)) {
    case 401:
    case 403:
      // The text is not quoted: providers repeat parts of the key in it.
      return failed(
        upstream(
          `${provider} rejected the stored key (HTTP ${status}). An admin can set a new one; you can, if it is your own.`,
        ),
        'OTHER_KEY',
      );
    case 402:
      return failed(upstream(`${provider} asks for payment (HTTP ${status}).`), 'OTHER_TARGET');
    case 404:
      return failed(
        upstream(`${provider} does not know the model or address (HTTP ${status}): ${said}`),
        'OTHER_TARGET',
      );
    case 400:
    case 413:
    case 422:
      return failed(
        new ValidationError([
          { path: paramOf(error, place.secret), message: `${provider} refused the request: ${said}` },
        ]),
        'NONE',
      );
    case 429:
      return failed(new RateLimitedError(`${provider} limits its requests: ${said}`, retryAfter(headers)), 'OTHER_KEY');
    case 408:
    case 504:
      return failed(
        new UpstreamTimeoutError(`${provider} timed out (HTTP ${status}): ${said}`, 'TOTAL', attempt),
        'SAME_TARGET',
      );
    default:
      return failed(upstream(`${provider} failed (HTTP ${status}): ${said}`), 'SAME_TARGET');
  }
}

/** A call that ended without an HTTP answer, or in the middle of one. */
export function readBreak(thrown: unknown, place: AttemptPlace, upstreamStatus: number | null): Failure {
  const code = isRecord(thrown) && typeof thrown.code === 'string' ? thrown.code : '';
  const { provider, attempt } = place;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    const message = `${provider} could not be reached within 5 seconds.`;
    const error = new UpstreamTimeoutError(message, 'CONNECT', attempt);
    return { error, remedy: 'OTHER_TARGET', retryAfterMs: null, upstreamStatus };
  }
  const what =
    code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EHOSTUNREACH'
      ? `${provider} could not be reached (${code}).`
      : `${provider} closed the connection before the answer was complete.`;
  return {
    error: new UpstreamError(what, { provider, upstreamStatus, attempts: attempt }),
    remedy: 'SAME_TARGET',
    retryAfterMs: null,
    upstreamStatus,
  };
}

/** An error object inside a 200 or a stream often carries its real status as a number. */
function effectiveStatus(status: number, error: Record<string, unknown>): number {
  const code = Number(error.status ?? error.code);
  return status < 400 && Number.isInteger(code) && code >= 400 && code < 600 ? code : status;
}

function parseError(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    // Some providers answer a list with one error in it.
    const first = Array.isArray(value) ? value[0] : value;
    if (!isRecord(first)) return {};
    if (isRecord(first.error)) return first.error;
    return typeof first.error === 'string' ? { message: first.error } : first;
  } catch {
    return {};
  }
}

function describe(error: Record<string, unknown>, body: string, secret: string | null): string {
  const message =
    typeof error.message === 'string' ? error.message : typeof error.detail === 'string' ? error.detail : '';
  const text = message || (/^\s*</.test(body) ? '' : body) || 'no reason given';
  const clean = secret ? withoutSecret(text, secret) : text;
  return shorten(clean.replace(/\s+/g, ' ').trim(), 500);
}

function isContextLength(error: Record<string, unknown>, said: string): boolean {
  if (codeOf(error) === 'context_length_exceeded') return true;
  return /maximum context length|context window|context length|prompt is too long|input token count/i.test(said);
}

function codeOf(error: Record<string, unknown>): string {
  return typeof error.code === 'string' ? error.code : '';
}

/** The parameter that the provider names, if it looks like one and is not the key. */
function paramOf({ param }: Record<string, unknown>, secret: string | null): string {
  if (typeof param !== 'string' || !/^[\w.[\]-]{1,100}$/.test(param)) return '';
  return secret && param.includes(secret) ? '' : param;
}

function retryAfter(headers: IncomingHttpHeaders): number {
  const seconds = Number(headers['retry-after']);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(Math.ceil(seconds), 86_400) : 5;
}
