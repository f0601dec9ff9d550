import { z } from 'zod';
import { storable } from '../../platform/storable.ts';
import { text } from '../schema/input-rules.ts';

export const LONGEST_ANSWER = 100_000;
export const LONGEST_NOTES = 4_000;
export const LONGEST_NAME = 100;

/** A text of several lines, as it was written; but Postgres stores neither NUL nor half a surrogate pair. */
function prose(limit: number) {
  return z
    .string()
    .refine(
      (value) => value.length >= 1 && value.length <= limit && storable(value) === value,
      `must have 1 to ${limit.toLocaleString('en')} characters, and none that cannot be stored`,
    );
}

const score = z.number().min(0, 'must be from 0 to 100').max(100, 'must be from 0 to 100').nullish();

export const recordComparisonInput = z
  .object({
    routeId: z.string().nullish(),
    variantA: z.string().nullish(),
    variantB: z.string().nullish(),
    prompt: prose(LONGEST_ANSWER),
    answerA: prose(LONGEST_ANSWER),
    answerB: prose(LONGEST_ANSWER),
    winner: z.enum(['A', 'B', 'TIE']),
    judge: z.enum(['HUMAN', 'MODEL']),
    judgeName: text(LONGEST_NAME).nullish(),
    scoreA: score,
    scoreB: score,
    notes: prose(LONGEST_NOTES).nullish(),
  })
  .superRefine(({ routeId, variantA, variantB }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if ((variantA || variantB) && !routeId) issue('routeId', 'must be given with a variant');
    if (variantA && variantB && variantA.toLowerCase() === variantB.toLowerCase())
      issue('variantB', 'must be another than variantA');
  });

export type RecordComparisonInput = z.input<typeof recordComparisonInput>;
