import { type Answer, type Finish, part, type Run } from './answer.ts';
import { type Fault, happensInTheMiddle } from './faults.ts';

/** What happens next in an answer: a choice gets tokens, or ends. */
export type Step = { choice: number; run: Run; finish: null } | { choice: number; run: null; finish: Finish };

/**
 * The steps of an answer, made as they are read, one of each choice in turn.
 * @param boundary a number of tokens after which one step ends and another begins; null for none.
 */
export function* stepsOf(answer: Answer, boundary: number | null = null): Generator<Step> {
  let running = answer.choices.map((choice, index) => ({ choice: index, runs: choice.runs() }));
  let made = 0;
  while (running.length > 0) {
    const still: typeof running = [];
    for (const one of running) {
      const { choice, runs } = one;
      const next = runs.next();
      if (next.done) {
        yield { choice, run: null, finish: next.value };
        continue;
      }
      still.push(one);
      const { tokens } = next.value;
      const split = boundary === null ? 0 : boundary - made;
      made += tokens.length;
      if (split > 0 && split < tokens.length) {
        yield { choice, run: part(next.value, 0, split), finish: null };
        yield { choice, run: part(next.value, split), finish: null };
      } else {
        yield { choice, run: next.value, finish: null };
      }
    }
    running = still;
  }
}

/** The number of tokens in all choices, made and thrown away. */
export function countAnswer(answer: Answer): number {
  let tokens = 0;
  for (const step of stepsOf(answer)) tokens += step.run?.tokens.length ?? 0;
  return tokens;
}

/**
 * Where a fault in the middle happens.
 * @returns the number of tokens before it, at most the length of the answer; null where nothing happens.
 */
export function placeOf(fault: Fault | null, answer: Answer, faultAfter: number | undefined): number | null {
  if (!happensInTheMiddle(fault)) return null;
  const length = countAnswer(answer);
  return Math.min(faultAfter ?? Math.floor((length * 2) / 3), length);
}
