import { fromUsdNumber, type Picodollars, picodollars } from '../../../platform/money.ts';
import type { Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';
import { tokenCount } from '../token-count.ts';

/**
 * Usage in the shapes that OpenAI-dialect providers send, normalised: input includes cached tokens, output includes
 * reasoning. Null when it says nothing usable.
 */
export function readUsage(value: unknown): Usage | null {
  if (!isRecord(value)) return null;
  const inputTokens = tokenCount(value.prompt_tokens) ?? tokenCount(value.input_tokens);
  let outputTokens = tokenCount(value.completion_tokens) ?? tokenCount(value.output_tokens);
  if (inputTokens === null && outputTokens === null) return null;
  const inputDetails = isRecord(value.prompt_tokens_details) ? value.prompt_tokens_details : {};
  const outputDetails = isRecord(value.completion_tokens_details) ? value.completion_tokens_details : {};
  const reasoningTokens = tokenCount(outputDetails.reasoning_tokens) ?? tokenCount(value.reasoning_tokens);
  const total = tokenCount(value.total_tokens);
  // xAI counts reasoning beside the completion tokens; its total gives that away.
  if (reasoningTokens && total !== null && total === (inputTokens ?? 0) + (outputTokens ?? 0) + reasoningTokens) {
    outputTokens = (outputTokens ?? 0) + reasoningTokens;
  }
  return {
    inputTokens: inputTokens ?? 0,
    outputTokens: outputTokens ?? 0,
    // The last two are DeepSeek's and Moonshot's names.
    cachedTokens:
      tokenCount(inputDetails.cached_tokens) ??
      tokenCount(value.prompt_cache_hit_tokens) ??
      tokenCount(value.cached_tokens),
    cacheWriteTokens: tokenCount(inputDetails.cache_write_tokens),
    cacheWrite1hTokens: null,
    reasoningTokens,
  };
}

/**
 * What a provider says that a call cost. OpenRouter counts in credits, which are US dollars; where the account has a key
 * of its own with the provider behind (`is_byok`), `cost` is only OpenRouter's fee and that provider's charge is beside
 * it. https://openrouter.ai/docs/use-cases/usage-accounting
 */
export function readCost(usage: unknown): Picodollars | null {
  if (!isRecord(usage)) return null;
  const cost = fromUsdNumber(usage.cost);
  if (cost === null || usage.is_byok !== true) return cost;
  const charge = isRecord(usage.cost_details) ? fromUsdNumber(usage.cost_details.upstream_inference_cost) : null;
  return charge === null ? null : picodollars(cost + charge);
}
