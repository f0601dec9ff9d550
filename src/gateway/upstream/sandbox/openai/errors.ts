import { type ErrorAnswer, type Failure, retryAfterHeader } from '../failure.ts';

/** An error as OpenAI writes it. */
interface OpenAIError {
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

export function writeError(failure: Failure): ErrorAnswer {
  switch (failure.type) {
    case 'wrong': {
      const { message, param, code, status } = failure;
      return invalidRequest(status, param ? `${param}: ${message}` : message, param, code);
    }
    case 'context-length': {
      const { promptTokens } = failure;
      const message =
        `This model's maximum context length is ${promptTokens - 1} tokens. However, your messages resulted in ` +
        `${promptTokens} tokens. Please reduce the length of the messages.`;
      return invalidRequest(400, message, 'messages', 'context_length_exceeded');
    }
    case 'prefill':
      return invalidRequest(
        400,
        'The last message must not be of role assistant: it cannot be continued.',
        'messages',
        null,
      );
    case 'failed':
      return answer(500, { message: failure.message, type: 'server_error', param: null, code: 'server_error' });
    case 'status':
      return answer(failure.status, errorOfStatus(failure.status), retryAfterHeader(failure.retryAfter));
    case 'key-rejected':
      return answer(401, errorOfStatus(401));
    case 'key-limited':
      return answer(429, errorOfStatus(429), retryAfterHeader(failure.retryAfter));
  }
}

function errorOfStatus(status: number): OpenAIError {
  const known = BY_STATUS[status];
  const { message, type, code } = known ?? {
    message: `The sandbox answers with status ${status}.`,
    type: status < 500 ? 'invalid_request_error' : 'server_error',
    code: status < 500 ? null : 'server_error',
  };
  return { message: `${message} (Played by the Signalbox sandbox.)`, type, param: null, code };
}

function invalidRequest(status: number, message: string, param: string | null, code: string | null): ErrorAnswer {
  return answer(status, { message, type: 'invalid_request_error', param, code });
}

function answer(status: number, error: OpenAIError, headers: Record<string, string> = {}): ErrorAnswer {
  return { status, headers, body: JSON.stringify({ error }) };
}
