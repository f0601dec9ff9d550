import type { Run } from './answer.ts';

/** Tokens that an answer has used so far. */
export interface Tally {
  completion: number;
  /** Those of them that were reasoning. */
  reasoning: number;
}

export function tallyUp(tally: Tally, run: Run, tokens: number): void {
  tally.completion += tokens;
  if (run.type === 'reasoning') tally.reasoning += tokens;
}
