import { describe, expect, test } from 'vitest';
import { readCost } from '../../../../src/gateway/upstream/openai/cost.ts';
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

describe('what a provider says that a call cost', () => {
  test.each<[string, object, bigint | null]>([
    ['dollars', { cost: 0.00005952 }, 59_520_000n],
    ['less than a millionth of a dollar', { cost: 1.5e-7 }, 150_000n],
    ['more digits than a picodollar has', { cost: 0.1234567890123456 }, 123_456_789_012n],
    ['nothing', { cost: 0 }, 0n],
    [
      'with a key of one’s own: the fee and the provider’s cost',
      { cost: 0.01, is_byok: true, cost_details: { upstream_inference_cost: 0.2 } },
      210_000_000_000n,
    ],
    [
      'with a key of one’s own, without the provider’s cost',
      { cost: 0.01, is_byok: true, cost_details: { upstream_inference_cost: null } },
      null,
    ],
    ['as Perplexity does', { cost: { input_tokens_cost: 0.001, total_cost: 0.006 } }, 6_000_000_000n],
    ['in xAI’s ticks', { cost_in_usd_ticks: 1_176_500 }, 117_650_000n],
    ['nothing that is a cost', { cost: '0.1' }, null],
    ['less than nothing', { cost: -1 }, null],
  ])('%s', (_how, usage, cost) => {
    expect(readCost({ prompt_tokens: 1, ...usage })).toBe(cost);
  });
});
