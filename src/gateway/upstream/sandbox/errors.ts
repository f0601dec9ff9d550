import { ModelNotFoundError, SignalboxError, ValidationError } from '../../../platform/errors.ts';

/** An error as OpenAI writes it. */
export interface OpenAIError {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}

/** What OpenAI says with a status, for the statuses that routing tells apart. */
const BY_STATUS: Readonly<Record<number, Omit<OpenAIError, 'param'>>> = {
  401: { message: 'Incorrect API key provided.', type: 'invalid_request_error', code: 'invalid_api_key' },
  402: { message: 'The balance is used up.', type: 'insufficient_quota', code: 'insufficient_quota' },
  403: { message: 'This key may not use the model.', type: 'permission_error', code: 'permission_denied' },
  404: { message: 'The model does not exist.', type: 'invalid_request_error', code: 'model_not_found' },
  429: { message: 'Rate limit reached.', type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  503: { message: 'The engine is overloaded.', type: 'server_error', code: 'overloaded' },
};

/** The error body for an HTTP status that was asked for. */
export function errorOfStatus(status: number): OpenAIError {
  const known = BY_STATUS[status];
  const { message, type, code } = known ?? {
    message: `The sandbox answers with status ${status}.`,
    type: status < 500 ? 'invalid_request_error' : 'server_error',
    code: status < 500 ? null : 'server_error',
  };
  return { message: `${message} (Played by the Signalbox sandbox.)`, type, param: null, code };
}

/** Status and error body for what was thrown while a request was read or answered. */
export function errorOf(thrown: unknown): { status: number; error: OpenAIError } {
  if (!(thrown instanceof SignalboxError)) {
    return { status: 500, error: serverError(`The sandbox has a bug: ${String(thrown)}`) };
  }
  const param = thrown instanceof ValidationError ? thrown.issues[0]?.path || null : null;
  const code = thrown instanceof ModelNotFoundError ? 'model_not_found' : null;
  return { status: thrown.status, error: { message: thrown.message, type: 'invalid_request_error', param, code } };
}

export function invalidRequest(message: string, param: string | null, code: string | null): OpenAIError {
  return { message, type: 'invalid_request_error', param, code };
}

export function serverError(message: string): OpenAIError {
  return { message, type: 'server_error', param: null, code: 'server_error' };
}

export function errorJson(error: OpenAIError): string {
  return JSON.stringify({ error });
}

/** An error inside a stream. */
export function errorEvent(message: string): string {
  return `data: ${errorJson(serverError(message))}\n\n`;
}
