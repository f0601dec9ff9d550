import { describe, expect, test } from 'vitest';
import { readBreak, readFailure } from '../../../src/gateway/upstream/failure.ts';
import { recordingsOf } from './recordings.ts';

const place = { provider: 'acme', attempt: 2, secret: 'sk-very-secret-value', inputTokens: 1_000 };
const read = (status: number, body: string, headers = {}) => readFailure(status, headers, body, place);

describe('failures', () => {
  test('a rejected key asks for another key and repeats nothing of the key', () => {
    const failure = read(401, '{"error":{"message":"Incorrect API key provided: sk-very-secret-value"}}');
    expect(failure).toMatchObject({ remedy: 'OTHER_KEY', error: { code: 'UPSTREAM' } });
    expect(failure.error.message).not.toContain('secret');
  });

  test.each([
    ['in an address', 'no /v1?key=a%2Fb%2Bc%3D%22d', 'no /v1?key=…'],
    ['in JSON', '{"sent":"a/b+c=\\"d"}', '{"sent":"…"}'],
    ['in JSON that escapes slashes', '{"sent":"a\\/b+c=\\"d"}', '{"sent":"…"}'],
  ])('the key is cut out as it is written %s', (_where, body, said) => {
    const failure = readFailure(500, {}, body, { ...place, secret: 'a/b+c="d' });
    expect(failure.error.message).toBe(`acme failed (HTTP 500): ${said}`);
  });

  test('the key is cut out of any text that is quoted', () => {
    for (const param of ['sk-very-secret-value', 'x'.repeat(10_000), 'a b\n', 7]) {
      const refused = read(400, JSON.stringify({ error: { message: 'no', param } }));
      expect(refused.error).toMatchObject({ issues: [{ path: '' }] });
    }
    expect(read(500, 'oops sk-very-secret-value').error.message).toBe('acme failed (HTTP 500): oops …');
  });

  test('a request that is at fault is refused once and for all', () => {
    expect(read(400, '{"error":{"message":"bad temperature","param":"temperature"}}')).toMatchObject({
      remedy: 'NONE',
      error: { code: 'VALIDATION', status: 400, issues: [{ path: 'temperature' }] },
    });
  });

  test('a context that is too long is told as such', () => {
    expect(read(400, '{"error":{"message":"x","code":"context_length_exceeded"}}').error.code).toBe(
      'CONTEXT_LENGTH_EXCEEDED',
    );
    expect(read(400, `{"error":{"message":"This model's maximum context length is 8192 tokens"}}`).error.code).toBe(
      'CONTEXT_LENGTH_EXCEEDED',
    );
  });

  test('a limit of the provider tells when to come back', () => {
    expect(read(429, '{"error":{"message":"slow down"}}', { 'retry-after': '7' })).toMatchObject({
      remedy: 'OTHER_KEY',
      error: { code: 'RATE_LIMITED', retryAfterSeconds: 7 },
    });
  });

  test('an error inside a 200 has the status it names', () => {
    expect(read(200, '{"error":{"message":"no","code":402}}').error.message).toContain('asks for payment');
  });

  test('an HTML page is not quoted', () => {
    expect(read(502, '<html><body>nginx</body></html>').error.message).toBe('acme failed (HTTP 502): no reason given');
  });

  test('a refused connection and a broken one are told apart', () => {
    expect(readBreak({ code: 'ECONNREFUSED' }, place, null).error.message).toContain('could not be reached');
    expect(readBreak({ code: 'UND_ERR_SOCKET' }, place, 200).error.message).toContain('closed the connection');
  });
});

/** Status, body, and what becomes of it: the code, what may do better, and what is wrong with the key. */
const TOLD: [status: number, body: string, code: string, remedy: string, key?: string][] = [
  // Too long.
  [400, '{"error":{"message":"x","code":"context_length_exceeded"}}', 'CONTEXT_LENGTH_EXCEEDED', 'LARGER_MODEL'],
  [
    400,
    '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 20 tokens > 10 maximum"}}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    400,
    '{"error":{"code":400,"message":"The input token count (20) exceeds the maximum number of tokens allowed (10).","status":"INVALID_ARGUMENT"}}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    400,
    '{"error":{"message":"prompt too long; exceeded max context length by 7 tokens"}}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    400,
    '{"error":{"message":"The total length of all messages is too long.","type":"too_many_prompt_tokens"}}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    400,
    '{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    413,
    '{"error":{"message":"Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 9000","code":"rate_limit_exceeded"}}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    429,
    '{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000."}}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    429,
    '{"error":{"code":429,"message":"Quota exceeded for metric: input_token_count, limit: 999","status":"RESOURCE_EXHAUSTED"}}',
    'CONTEXT_LENGTH_EXCEEDED',
    'LARGER_MODEL',
  ],
  [
    429,
    '{"error":{"code":429,"message":"Quota exceeded for metric: input_token_count, limit: 1000000","status":"RESOURCE_EXHAUSTED"}}',
    'RATE_LIMITED',
    'OTHER_KEY',
    'LIMITED',
  ],
  // Refused content.
  [400, '{"error":{"code":"content_filter","message":"no","innererror":{}}}', 'CONTENT_FILTERED', 'NONE'],
  [
    403,
    '{"error":{"code":403,"message":"Your chosen model requires moderation and your input was flagged"}}',
    'CONTENT_FILTERED',
    'NONE',
  ],
  // Keys.
  [
    400,
    '{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}',
    'UPSTREAM',
    'OTHER_KEY',
    'REJECTED',
  ],
  [
    400,
    '{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}',
    'UPSTREAM',
    'OTHER_KEY',
    'REJECTED',
  ],
  [403, '{"error":{"message":"Your API key has been disabled"}}', 'UPSTREAM', 'OTHER_KEY', 'REJECTED'],
  [403, '{"error":{"message":"This project may not use the model"}}', 'UPSTREAM', 'OTHER_KEY'],
  [
    200,
    '{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}',
    'UPSTREAM',
    'OTHER_KEY',
    'REJECTED',
  ],
  // Limits.
  [
    429,
    '{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}',
    'RATE_LIMITED',
    'OTHER_KEY',
    'LIMITED',
  ],
  [402, '{"error":{"message":"Insufficient credits"}}', 'UPSTREAM', 'OTHER_TARGET'],
  [
    200,
    '{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}',
    'RATE_LIMITED',
    'OTHER_KEY',
    'LIMITED',
  ],
  // Its own faults.
  [529, '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 'UPSTREAM', 'SAME_TARGET'],
  [200, '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 'UPSTREAM', 'SAME_TARGET'],
  [
    200,
    '{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}',
    'UPSTREAM',
    'SAME_TARGET',
  ],
  [200, '{"error":{"code":502,"status":"MALFORMED_FUNCTION_CALL","message":"print(x"}}', 'UPSTREAM', 'SAME_TARGET'],
  [504, '', 'UPSTREAM_TIMEOUT', 'SAME_TARGET'],
  [404, '{"error":{"message":"no such model"}}', 'UPSTREAM', 'OTHER_TARGET'],
  // The request's.
  [422, '{"detail":[{"loc":["body","seed"],"msg":"extra inputs are not permitted"}]}', 'VALIDATION', 'NONE'],
  [
    200,
    '{"error":{"message":"Unsupported parameter","type":"invalid_request_error","code":"unsupported_parameter"}}',
    'VALIDATION',
    'NONE',
  ],
];

test.each(TOLD)('HTTP %i %s is %s, and may do better with %s', (status, body, code, remedy, key) => {
  expect(read(status, body)).toMatchObject({ error: { code }, remedy, key: key ?? null });
});

test.each<[string, object, string, number | null]>([
  ['seconds in a header', { 'retry-after': '7' }, '', 7_000],
  ['milliseconds in a header', { 'retry-after-ms': '1500.2', 'retry-after': '9' }, '', 1_501],
  ['a date that has passed', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, '', 0],
  [
    'the details of a Google error',
    {},
    '{"error":{"code":429,"message":"no","details":[{"retryDelay":"34.4s"}]}}',
    34_400,
  ],
  ['a text', {}, '{"error":{"message":"Please try again in 1m7.66s."}}', 67_660],
  ['another text', {}, '{"error":{"message":"Please retry in 48.9s."}}', 48_900],
  ['milliseconds in a text', {}, '{"error":{"message":"Please try again in 540ms."}}', 540],
  ['a limit that money lifts', {}, '{"error":{"message":"no","code":"insufficient_quota"}}', 3_600_000],
  ['nothing', {}, '{"error":{"message":"no"}}', null],
])('how long to wait is read from %s', (_where, headers, body, ms) => {
  expect(read(429, body, headers).retryAfterMs).toBe(ms);
});

/** What becomes of recorded errors whose status alone does not tell. */
const BY_FILE: readonly (readonly [file: RegExp, expected: [code: string, remedy: string, key: string | null]])[] = [
  [/error-scenarios-.*handle/, ['CONTEXT_LENGTH_EXCEEDED', 'LARGER_MODEL', null]],
  [/content-filtering/, ['CONTENT_FILTERED', 'NONE', null]],
  [/google-chat-error-handling/, ['UPSTREAM', 'OTHER_KEY', 'REJECTED']],
  [/google-429/, ['RATE_LIMITED', 'OTHER_KEY', 'LIMITED']],
];
const BY_STATUS: Readonly<Record<number, [string, string, string | null]>> = {
  401: ['UPSTREAM', 'OTHER_KEY', 'REJECTED'],
  404: ['UPSTREAM', 'OTHER_TARGET', null],
  429: ['RATE_LIMITED', 'OTHER_KEY', 'LIMITED'],
};

const failed = (['openai', 'anthropic', 'gemini'] as const)
  .flatMap((dialect) => recordingsOf(dialect))
  .filter(({ status, response }) => status >= 400 || /^\s*\{\s*"error"/.test(response));

test.each(failed.map((one) => [one.file, one] as const))(
  'recorded: %s',
  (file, { status, response, responseHeaders }) => {
    const { error, remedy, key } = read(status, response, responseHeaders ?? {});
    const byFile = BY_FILE.find(([name]) => name.test(file))?.[1];
    expect([error.code, remedy, key]).toEqual(BY_STATUS[status] ?? byFile ?? ['VALIDATION', 'NONE', null]);
  },
);
