import { subDigest } from '../digest.ts';
import { type ErrorAnswer, type Failure, retryAfterHeader } from '../failure.ts';

/** The error types of the Messages API: https://docs.anthropic.com/en/api/errors */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

export function writeError(failure: Failure): ErrorAnswer {
  switch (failure.type) {
    case 'wrong': {
      const { status, message, param } = failure;
      return answer(status, param ? `${dotted(param)}: ${message}` : message);
    }
    case 'context-length': {
      const { promptTokens } = failure;
      return answer(400, `prompt is too long: ${promptTokens} tokens > ${promptTokens - 1} maximum`);
    }
    case 'prefill':
      return answer(
        400,
        'This model does not support assistant message prefill. The conversation must end with a user message.',
      );
    case 'failed':
      return answer(500, failure.message);
    case 'status': {
      const { status, retryAfter } = failure;
      const said = status === 529 ? 'Overloaded' : `The sandbox answers with status ${status}`;
      return answer(status, `${said}. (Played by the Signalbox sandbox.)`, retryAfterHeader(retryAfter));
    }
    case 'key-rejected':
      return answer(401, 'invalid x-api-key');
    case 'key-limited':
      return answer(
        429,
        "This request would exceed your organization's rate limit. (Played by the Signalbox sandbox.)",
        retryAfterHeader(failure.retryAfter),
      );
  }
}

/** `messages[0].content` as Anthropic writes it: `messages.0.content`. */
function dotted(param: string): string {
  return param.replace(/\[(\d+)\]/g, '.$1');
}

function answer(status: number, message: string, headers: Record<string, string> = {}): ErrorAnswer {
  const type = TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  const id = `req_sandbox${subDigest(message, 'request').slice(0, 17)}`;
  const body = JSON.stringify({ type: 'error', error: { type, message }, request_id: id });
  return { status, headers: { 'request-id': id, ...headers }, body };
}
