import type { RateLimitState } from '../gateway/admission/rate-limit.ts';

/** `x-ratelimit-limit`, `-remaining` and `-reset` (seconds), and `retry-after` on a refusal. None without a limit. */
export function rateLimitHeaders(state: RateLimitState | null): Record<string, string> {
  if (!state) return {};
  const headers: Record<string, string> = {
    'x-ratelimit-limit': String(state.limit),
    'x-ratelimit-remaining': String(state.remaining),
    'x-ratelimit-reset': String(state.resetSeconds),
  };
  if (!state.allowed) headers['retry-after'] = String(state.retryAfterSeconds);
  return headers;
}
