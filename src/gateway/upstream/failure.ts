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
import { type ProviderError, parseProviderError } from './provider-error.ts';
import { retryAfterMs } from './retry-after.ts';
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
  /** What is wrong with the key that was used: the provider does not take it, or has had enough of it for a while. */
  key: 'REJECTED' | 'LIMITED' | null;
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
  /** About how many tokens were sent. */
  inputTokens: number;
}

/** A limit that money lifts, not time: nobody comes back to it within the hour. */
const QUOTA_REST_MS = 3_600_000;
const LONGEST_MESSAGE = 8_192;
/** What clients are told to wait where a provider does not say. */
const DEFAULT_RETRY_SECONDS = 5;

/**
 * An HTTP answer that is an error, or a 200 whose body or stream holds one.
 * @param body the answer's text as far as it was read
 */
export function readFailure(status: number, headers: IncomingHttpHeaders, body: string, place: AttemptPlace): Failure {
  const told = parseProviderError(body);
  // A text longer than this is no explanation, and patterns are matched against it.
  told.message = told.message.slice(0, LONGEST_MESSAGE);
  const said = quote(told.message, place.secret);
  const named = status < 400 ? (told.status ?? status) : status;
  // Anthropic tells an empty account as a bad request.
  const effective = named === 400 && /^your credit balance is too low/i.test(told.message) ? 402 : named;
  const wait = retryAfterMs(headers, told, Date.now());
  const failed = (error: SignalboxError, remedy: Remedy, key: Failure['key'] = null, rest = wait): Failure => ({
    error,
    remedy,
    key,
    retryAfterMs: rest,
    upstreamStatus: status,
  });
  const { provider, attempt } = place;
  const isOverloaded = effective === 503 || effective === 529;
  const upstream = (message: string) =>
    new UpstreamError(message, { provider, upstreamStatus: status, attempts: attempt, isOverloaded });

  if (isContextLength(told, place)) return failed(new ContextLengthError(`${provider}: ${said}`), 'LARGER_MODEL');
  if (isFiltered(told)) return failed(new ContentFilterError(`${provider}: ${said}`), 'NONE');
  if (isKeyRejected(effective, told)) {
    // The text is not quoted: providers repeat parts of the key in it.
    const message = `${provider} rejected the stored key (HTTP ${status}). An admin can set a new one; you can, if it is your own.`;
    return failed(upstream(message), 'OTHER_KEY', 'REJECTED');
  }
  switch (effective) {
    case 402:
      return failed(upstream(`${provider} asks for payment (HTTP ${status}).`), 'OTHER_TARGET');
    case 403:
      return failed(upstream(`${provider} does not allow this with the stored key (HTTP ${status}).`), 'OTHER_KEY');
    case 404:
      return failed(
        upstream(`${provider} does not know the model or address (HTTP ${status}): ${said}`),
        'OTHER_TARGET',
      );
    case 400:
    case 413:
    case 422: {
      const issue = { path: paramOf(told, place.secret), message: `${provider} refused the request: ${said}` };
      return failed(new ValidationError([issue]), PREFILL.test(told.message) ? 'OTHER_TARGET' : 'NONE');
    }
    case 429: {
      const rest = wait ?? (isQuota(told) ? QUOTA_REST_MS : null);
      const seconds = rest === null ? DEFAULT_RETRY_SECONDS : Math.ceil(rest / 1_000);
      return failed(
        new RateLimitedError(`${provider} limits its requests: ${said}`, seconds),
        'OTHER_KEY',
        'LIMITED',
        rest,
      );
    }
    case 408:
    case 504: {
      const message = `${provider} timed out (HTTP ${status}): ${said}`;
      return failed(new UpstreamTimeoutError(message, 'TOTAL', attempt), 'SAME_TARGET');
    }
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
    return { error, remedy: 'OTHER_TARGET', key: null, retryAfterMs: null, upstreamStatus };
  }
  const what =
    code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EHOSTUNREACH'
      ? `${provider} could not be reached (${code}).`
      : `${provider} closed the connection before the answer was complete.`;
  return {
    error: new UpstreamError(what, { provider, upstreamStatus, attempts: attempt }),
    remedy: 'SAME_TARGET',
    key: null,
    retryAfterMs: null,
    upstreamStatus,
  };
}

/** What a provider said, in one line, without the key. */
function quote(message: string, secret: string | null): string {
  const clean = secret ? withoutSecret(message, secret) : message;
  return shorten(clean.replace(/\s+/g, ' ').trim() || 'no reason given', 500);
}

/**
 * More than the model or the account can take at once. The texts are those of OpenAI and vLLM, Anthropic, Gemini, Ollama,
 * Perplexity, Mistral, Groq (as 413 or 429), Cohere and llama.cpp.
 */
const TOO_LONG = new RegExp(
  [
    'maximum context length|max context length|context window|context[_ ]length[_ ]exceeded',
    'prompt (is )?too long|prompt contains \\d+ tokens|too large for model|request too large for',
    'input token count .{0,100}exceeds|input length and `?max_tokens`? exceed|total length of all messages is too long',
    'too many tokens: (total|size)|exceeds? the (available )?context size|input is too long',
    '`?inputs`? tokens \\+ `?max_new_tokens`? must be',
  ].join('|'),
  'i',
);
const TOO_LONG_NAMES = ['context_length_exceeded', 'too_many_prompt_tokens', 'string_above_max_length'];

function isContextLength({ names, message, status }: ProviderError, { inputTokens }: AttemptPlace): boolean {
  if (TOO_LONG_NAMES.some((name) => names.has(name)) || TOO_LONG.test(message)) return true;
  // Gemini tells a request that is larger than all that may be sent in a minute as one too many.
  const limit = /input_token_count, limit: (\d+)/.exec(message)?.[1];
  return status === 429 && limit !== undefined && inputTokens > Number(limit);
}

function isFiltered({ names, message }: ProviderError): boolean {
  const isNamed = ['content_filter', 'content_policy_violation', 'moderation_blocked'].some((name) => names.has(name));
  // OpenRouter's moderation answers 403.
  return isNamed || /requires moderation|flagged (by|for) .{0,100}moderation|input was flagged/i.test(message);
}

/** Most providers say 401; Gemini says 400, and some 403. */
function isKeyRejected(status: number, { names, message, param }: ProviderError): boolean {
  if (status === 401 || names.has('api_key_invalid') || names.has('invalid_api_key')) return true;
  // What a request is refused for repeats words of the client's, such as a tool called `get_api_key`: a text about the
  // key begins with it, and names no parameter.
  return (status === 400 || status === 403) && param === null && BAD_KEY.test(message);
}

const BAD_KEY = new RegExp(
  [
    '^\\W{0,3}((your|the|this|provided|supplied) ){0,2}(api[ _-]?key|access token|credentials?)\\b.{0,80}\\b',
    '(not valid|invalid|incorrect|expired|revoked|disabled|suspended|leaked|not found)|',
    '^\\W{0,3}(invalid|incorrect|expired|revoked|disabled) (api[ _-]?key|access token|credentials?)\\b',
  ].join(''),
  'i',
);

/** The newer Claude models do not go on with what an assistant's message begins; others do. */
const PREFILL =
  /support.{0,40}\bprefill|\bprefill.{0,40}support|(conversation|last message) must (end with|be from) (a|the) user|last message must not be .{0,20}assistant/i;

/** Used up until somebody pays, rather than too many at once. */
function isQuota({ names, message }: ProviderError): boolean {
  if (['insufficient_quota', 'billing_hard_limit_reached', 'credits_exhausted'].some((name) => names.has(name)))
    return true;
  return /spend(ing)? limit|credit balance|out of credits|usage limits?.{0,200}regain access|PerDay/i.test(message);
}

/** The parameter that the provider names, if it looks like one and is not the key. */
function paramOf({ param }: ProviderError, secret: string | null): string {
  if (param === null || !/^[\w.[\]-]{1,100}$/.test(param)) return '';
  return secret && param.includes(secret) ? '' : param;
}
