/** How a model is told how hard to think: by a level, by a budget of tokens, or not at all. */
export type ThinkingControl = 'LEVEL' | 'BUDGET' | 'NONE';

/** By the version in its name (https://ai.google.dev/gemini-api/docs/thinking); one that names no version is new. */
export function thinkingControlOf(model: string): ThinkingControl {
  const version = /gemini-(\d+(?:\.\d+)?)/i.exec(model)?.[1];
  if (version === undefined) return /gemini/i.test(model) || !/gemma|learnlm|palm/i.test(model) ? 'LEVEL' : 'NONE';
  const number = Number(version);
  if (number >= 3) return 'LEVEL';
  return number >= 2.5 ? 'BUDGET' : 'NONE';
}

/** Since Gemini 3: https://ai.google.dev/gemini-api/docs/thought-signatures */
export function needsSignatures(model: string): boolean {
  return thinkingControlOf(model) === 'LEVEL';
}
