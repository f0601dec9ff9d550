import { UNKNOWN_USAGE, type Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';
import { tokenCount } from '../token-count.ts';

/**
 * Usage as Gemini tells it, normalised: its input leaves out what tools brought in, its output what was thought. Null
 * when it tells no tokens.
 */
export function readUsage(value: unknown): Usage | null {
  if (!isRecord(value)) return null;
  const prompt = tokenCount(value.promptTokenCount);
  const answer = tokenCount(value.candidatesTokenCount);
  const thoughts = tokenCount(value.thoughtsTokenCount);
  if (prompt === null && answer === null && thoughts === null) return null;
  return {
    ...UNKNOWN_USAGE,
    inputTokens: (prompt ?? 0) + (tokenCount(value.toolUsePromptTokenCount) ?? 0),
    outputTokens: (answer ?? 0) + (thoughts ?? 0),
    cachedTokens: tokenCount(value.cachedContentTokenCount),
    reasoningTokens: thoughts,
  };
}
