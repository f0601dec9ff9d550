import type { ErrorAnswer, Failure } from '../failure.ts';

/** The names that google.rpc.Code has for HTTP statuses. */
const STATUS_NAMES: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};
const BAD_KEY = 'API key not valid. Please pass a valid API key.';

export function writeError(failure: Failure): ErrorAnswer {
  switch (failure.type) {
    case 'wrong': {
      const { status, message, param } = failure;
      if (!param) return answer(status, message);
      return answer(status, `${param}: ${message}`, [
        detail('BadRequest', { fieldViolations: [{ field: param, description: message }] }),
      ]);
    }
    case 'context-length': {
      const { promptTokens } = failure;
      const most = promptTokens - 1;
      return answer(
        400,
        `The input token count (${promptTokens}) exceeds the maximum number of tokens allowed (${most}).`,
      );
    }
    case 'prefill':
      return answer(400, 'Please ensure that multiturn requests end with a user role or a function response.');
    case 'failed':
      return answer(500, failure.message);
    case 'status': {
      const { status, retryAfter } = failure;
      const played = `The sandbox answers with status ${status}. (Played by the Signalbox sandbox.)`;
      return answer(status, played, status === 429 && retryAfter !== null ? [retryInfo(retryAfter)] : []);
    }
    case 'key-rejected': {
      const metadata = { service: 'generativelanguage.googleapis.com' };
      return answer(400, BAD_KEY, [
        detail('ErrorInfo', { reason: 'API_KEY_INVALID', domain: 'googleapis.com', metadata }),
        detail('LocalizedMessage', { locale: 'en-US', message: BAD_KEY }),
      ]);
    }
    case 'key-limited': {
      const message = `You exceeded your current quota. Please retry in ${failure.retryAfter}s. (Played by the Signalbox sandbox.)`;
      return answer(429, message, [retryInfo(failure.retryAfter)]);
    }
  }
}

function retryInfo(seconds: number) {
  return detail('RetryInfo', { retryDelay: `${seconds}s` });
}

function detail(type: string, members: object) {
  return { '@type': `type.googleapis.com/google.rpc.${type}`, ...members };
}

function answer(status: number, message: string, details: readonly object[] = []): ErrorAnswer {
  const name = STATUS_NAMES[status] ?? (status < 500 ? 'INVALID_ARGUMENT' : 'INTERNAL');
  const error = { code: status, message, status: name, ...(details.length > 0 && { details }) };
  return { status, headers: {}, body: JSON.stringify({ error }) };
}
