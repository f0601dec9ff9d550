import { UNKNOWN_USAGE, type Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';
import { tokenCount } from '../token-count.ts';

/**
 * Usage as Anthropic tells it, normalised: its input leaves out what was read from and written to the cache.
 * @param before what was told earlier in the same stream: later numbers replace those, and are not added to them
 */
export function readUsage(value: unknown, before: Usage | null = null): Usage | null {
  if (!isRecord(value)) return before;
  const detail = isRecord(value.cache_creation) ? value.cache_creation : {};
  const thinking = isRecord(value.output_tokens_details) ? value.output_tokens_details : {};
  const cached = tokenCount(value.cache_read_input_tokens) ?? before?.cachedTokens ?? null;
  const written = tokenCount(value.cache_creation_input_tokens) ?? before?.cacheWriteTokens ?? null;
  const beforePlain =
    before?.inputTokens == null
      ? null
      : before.inputTokens - (before.cachedTokens ?? 0) - (before.cacheWriteTokens ?? 0);
  const plain = tokenCount(value.input_tokens) ?? beforePlain;
  const output = tokenCount(value.output_tokens) ?? before?.outputTokens ?? null;
  if (plain === null && output === null) return before;
  return {
    ...UNKNOWN_USAGE,
    inputTokens: (plain ?? 0) + (cached ?? 0) + (written ?? 0),
    outputTokens: output ?? 0,
    cachedTokens: cached,
    cacheWriteTokens: written,
    cacheWrite1hTokens: tokenCount(detail.ephemeral_1h_input_tokens) ?? before?.cacheWrite1hTokens ?? null,
    reasoningTokens: tokenCount(thinking.thinking_tokens) ?? before?.reasoningTokens ?? null,
  };
}
