import { describe, expect, test } from 'vitest';
import { readUsage } from '../../../../src/gateway/upstream/openai/usage.ts';

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
