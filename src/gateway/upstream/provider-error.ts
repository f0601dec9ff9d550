import { shorten } from '../../platform/errors.ts';
import { isRecord } from './body.ts';

/** An error as a provider told it, whichever its shape was. */
export interface ProviderError {
  /** What it says, for people; empty: nothing that can be quoted. */
  message: string;
  /** Its names, in lower case: OpenAI's `code` and `type`, Anthropic's `type`, Google's `status` and reasons. */
  names: ReadonlySet<string>;
  /** The HTTP status that it names in its body; null: none. */
  status: number | null;
  /** The parameter that it names; null: none. */
  param: string | null;
  /** How long it asks to be left alone, in milliseconds; null: it does not say. */
  retryAfterMs: number | null;
}

/** What the names of errors mean, where an answer's own status says nothing: in a stream, or behind a 200. */
const STATUS_OF_NAME: Readonly<Record<string, number>> = {
  // Anthropic: https://platform.claude.com/docs/en/api/errors
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
  // OpenAI: https://platform.openai.com/docs/guides/error-codes
  invalid_api_key: 401,
  insufficient_quota: 429,
  rate_limit_exceeded: 429,
  server_error: 500,
  // Google: https://cloud.google.com/apis/design/errors
  invalid_argument: 400,
  failed_precondition: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  resource_exhausted: 429,
  internal: 500,
  unavailable: 503,
  deadline_exceeded: 504,
};

/** Reads the body of an error: OpenAI's, Anthropic's and Google's shapes, and looser ones. */
export function parseProviderError(body: string): ProviderError {
  const error = errorIn(body);
  const details = Array.isArray(error.details) ? error.details.filter(isRecord) : [];
  const raw = isRecord(error.metadata) ? error.metadata.raw : null;
  // OpenRouter quotes the provider behind it.
  const quoted = typeof raw === 'string' ? messageIn(errorIn(raw)) || raw : '';
  const own = messageIn(error) || (isMarkup(body) ? '' : body);
  const names = new Set(
    [error.code, error.type, error.status, ...details.map(({ reason }) => reason)]
      .filter((name) => typeof name === 'string' && name !== '')
      .map((name) => String(name).toLowerCase()),
  );
  return {
    message: quoted && !own.includes(quoted) ? `${own} ${quoted}` : own,
    names,
    status: statusIn(error, names),
    param: typeof error.param === 'string' ? error.param : null,
    retryAfterMs: details.map(({ retryDelay }) => toMilliseconds(retryDelay)).find((ms) => ms !== null) ?? null,
  };
}

/** The error object of a body: within `error`, the first of a list, or the body itself. */
function errorIn(body: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.replace(/^data:/, ''));
  } catch {
    return {};
  }
  const first = Array.isArray(value) ? value[0] : value;
  if (!isRecord(first)) return {};
  if (isRecord(first.error)) return first.error;
  return typeof first.error === 'string' ? { message: first.error } : first;
}

function messageIn({ message, detail, type }: Record<string, unknown>): string {
  if (typeof message === 'string') return message;
  // Mistral tells what is wrong with each member in a list.
  if (isRecord(message)) return shorten(JSON.stringify(message), 500);
  if (typeof detail === 'string') return detail;
  if (Array.isArray(detail)) return shorten(JSON.stringify(detail), 500);
  return typeof type === 'string' && type !== 'error' ? type : '';
}

function statusIn(error: Record<string, unknown>, names: ReadonlySet<string>): number | null {
  for (const value of [error.status, error.code]) {
    const code = Number(value);
    if (value != null && value !== '' && Number.isInteger(code) && code >= 400 && code < 600) return code;
  }
  for (const name of names) if (STATUS_OF_NAME[name]) return STATUS_OF_NAME[name];
  return null;
}

function isMarkup(body: string): boolean {
  return /^\s*</.test(body);
}

/** A duration as Google writes it: `34.4s`. */
function toMilliseconds(text: unknown): number | null {
  const seconds = typeof text === 'string' ? /^(\d+(?:\.\d+)?)s$/.exec(text)?.[1] : undefined;
  return seconds === undefined ? null : Math.ceil(Number(seconds) * 1_000);
}
