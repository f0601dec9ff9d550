import { UNKNOWN_USAGE, type Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';

const MOST = 2_147_483_647;

/**
 * Usage as Gemini tells it, normalised: its input leaves out what tools brought in, its output what was thought. Null
 * when it tells no tokens.
 */
export function readUsage(value: unknown): Usage | null {
  if (!isRecord(value)) return null;
  const prompt = count(value.promptTokenCount);
  const answer = count(value.candidatesTokenCount);
  const thoughts = count(value.thoughtsTokenCount);
  if (prompt === null && answer === null && thoughts === null) return null;
  return {
    ...UNKNOWN_USAGE,
    inputTokens: (prompt ?? 0) + (count(value.toolUsePromptTokenCount) ?? 0),
    outputTokens: (answer ?? 0) + (thoughts ?? 0),
    cachedTokens: count(value.cachedContentTokenCount),
    reasoningTokens: thoughts,
  };
}

function count(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST ? (value as number) : null;
}
