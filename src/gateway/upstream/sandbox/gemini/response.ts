import type { Answer, Finish } from '../answer.ts';
import type { WholeChoice } from '../dialect.ts';
import { signatureOf } from '../signature.ts';
import type { Tally } from '../tally.ts';

/** Calls end with STOP as well. */
const FINISH_REASONS = { stop: 'STOP', length: 'MAX_TOKENS', tool_calls: 'STOP', content_filter: 'SAFETY' } as const;

/** A part of a candidate's content. */
export interface Part {
  text?: string;
  functionCall?: { name: string; args: unknown };
  thought?: true;
  thoughtSignature?: string;
}

/** A GenerateContentResponse, read to its end. */
export function writeCandidates(
  answer: Answer,
  choices: readonly WholeChoice[],
  tally: Tally,
  showsThoughts: boolean,
): string {
  return JSON.stringify({
    candidates: choices.map((choice, index) => {
      const signature = choice.reasoning ? signatureOf(answer.choices[index]?.digest ?? '') : null;
      const thoughts: Part[] = choice.reasoning && showsThoughts ? [{ text: choice.reasoning, thought: true }] : [];
      const said: Part[] = choice.text ? [{ text: choice.text }] : [];
      const calls = choice.calls.flatMap((call) => callPart(call) ?? []);
      const [first, ...others] = [...said, ...calls];
      const parts = first ? [...thoughts, signed(first, signature), ...others] : thoughts;
      return { content: { ...(parts.length > 0 && { parts }), role: 'model' }, ...endOf(choice.finish), index };
    }),
    usageMetadata: usageOf(answer, tally),
    modelVersion: answer.model,
    responseId: answer.id,
  });
}

/** The part of a call; null for one whose arguments were cut off. */
export function callPart(call: { name: string; arguments: string }): Part | null {
  try {
    return { functionCall: { name: call.name, args: JSON.parse(call.arguments) } };
  } catch {
    return null;
  }
}

/** The part behind the reasoning carries its signature. */
export function signed(part: Part, signature: string | null): Part {
  return signature === null ? part : { ...part, thoughtSignature: signature };
}

export function endOf({ reason }: Finish) {
  const finishReason = FINISH_REASONS[reason];
  if (reason === 'tool_calls') return { finishReason, finishMessage: 'Model generated function call(s).' };
  if (reason !== 'content_filter') return { finishReason };
  const rating = { category: 'HARM_CATEGORY_DANGEROUS_CONTENT', probability: 'HIGH', blocked: true };
  return { finishReason, safetyRatings: [rating] };
}

/** The prompt's count has the cached tokens in it; the candidates' has the thoughts not in it. */
export function usageOf({ promptTokens, cachedTokens }: Answer, { completion, reasoning }: Tally) {
  const text = (tokenCount: number) => [{ modality: 'TEXT', tokenCount }];
  return {
    promptTokenCount: promptTokens,
    candidatesTokenCount: completion - reasoning,
    totalTokenCount: promptTokens + completion,
    promptTokensDetails: text(promptTokens),
    ...(cachedTokens > 0 && { cachedContentTokenCount: cachedTokens, cacheTokensDetails: text(cachedTokens) }),
    ...(reasoning > 0 && { thoughtsTokenCount: reasoning }),
  };
}
