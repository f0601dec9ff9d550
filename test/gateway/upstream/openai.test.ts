import { describe, expect, test } from 'vitest';
import { isMeaningful } from '../../../src/gateway/upstream/chunk.ts';
import { readBreak, readFailure } from '../../../src/gateway/upstream/failure.ts';
import { parseChunk } from '../../../src/gateway/upstream/openai/read-chunk.ts';
import { readUsage } from '../../../src/gateway/upstream/openai/usage.ts';

const place = { provider: 'acme', attempt: 2, secret: 'sk-very-secret-value' };

describe('usage', () => {
  test('cached and reasoning tokens are read from their details', () => {
    expect(
      readUsage({
        prompt_tokens: 100,
        completion_tokens: 20,
        total_tokens: 120,
        prompt_tokens_details: { cached_tokens: 64 },
        completion_tokens_details: { reasoning_tokens: 8 },
      }),
    ).toEqual({
      inputTokens: 100,
      outputTokens: 20,
      cachedTokens: 64,
      cacheWriteTokens: null,
      cacheWrite1hTokens: null,
      reasoningTokens: 8,
    });
  });

  test('reasoning that is counted beside the completion is added to it', () => {
    const usage = readUsage({
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 40,
      completion_tokens_details: { reasoning_tokens: 25 },
    });
    expect(usage?.outputTokens).toBe(30);
  });

  test.each([null, 'x', [], {}, { prompt_tokens: -1 }, { prompt_tokens: 1.5 }, { prompt_tokens: 1e12 }])(
    '%j says nothing',
    (value) => expect(readUsage(value)).toBeNull(),
  );
});

describe('chunks', () => {
  test('the role alone, an empty text and a usage chunk are no reason to answer yet', () => {
    for (const data of [
      '{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}',
      '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
      '{"choices":[]}',
    ]) {
      const chunk = parseChunk(data);
      expect(chunk && isMeaningful(chunk)).toBe(false);
    }
  });

  test('content as a list of parts, and both names of reasoning, are read', () => {
    expect(parseChunk('{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"text":"b"}]}}]}')?.text).toBe(
      'ab',
    );
    expect(parseChunk('{"choices":[{"delta":{"reasoning":"r"}}]}')?.reasoning).toBe('r');
    expect(parseChunk('{"choices":[{"delta":{"reasoning_content":"r"}}]}')?.reasoning).toBe('r');
  });

  test('what is not a JSON object is not a chunk', () => {
    for (const data of ['', '{', '[]', '"x"', '1']) expect(parseChunk(data)).toBeNull();
  });
});

describe('failures', () => {
  const read = (status: number, body: string, headers = {}) => readFailure(status, headers, body, place);

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
