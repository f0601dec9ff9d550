import { fromUsdNumber, type Picodollars, picodollars } from '../../../platform/money.ts';
import type { Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';

const MOST = 2_147_483_647;

/**
 * Usage in the shapes that OpenAI-dialect providers send, normalised: input includes cached tokens, output includes
 * reasoning. Null when it says nothing usable.
 */
export function readUsage(value: unknown): Usage | null {
  if (!isRecord(value)) return null;
  const inputTokens = count(value.prompt_tokens) ?? count(value.input_tokens);
  let outputTokens = count(value.completion_tokens) ?? count(value.output_tokens);
  if (inputTokens === null && outputTokens === null) return null;
  const inputDetails = isRecord(value.prompt_tokens_details) ? value.prompt_tokens_details : {};
  const outputDetails = isRecord(value.completion_tokens_details) ? value.completion_tokens_details : {};
  const reasoningTokens = count(outputDetails.reasoning_tokens) ?? count(value.reasoning_tokens);
  const total = count(value.total_tokens);
  // xAI counts reasoning beside the completion tokens; its total gives that away.
  if (reasoningTokens && total !== null && total === (inputTokens ?? 0) + (outputTokens ?? 0) + reasoningTokens) {
    outputTokens = (outputTokens ?? 0) + reasoningTokens;
  }
  return {
    inputTokens: inputTokens ?? 0,
    outputTokens: outputTokens ?? 0,
    // The last two are DeepSeek's and Moonshot's names.
    cachedTokens:
      count(inputDetails.cached_tokens) ?? count(value.prompt_cache_hit_tokens) ?? count(value.cached_tokens),
    cacheWriteTokens: count(inputDetails.cache_write_tokens),
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

function count(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST ? (value as number) : null;
}
