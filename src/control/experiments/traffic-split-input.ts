import { z } from 'zod';
import { MOST_TARGETS, targetInput } from '../routes/routes.ts';
import { whole } from '../schema/input-rules.ts';

export const setTrafficSplitInput = z.object({
  routeId: z.string(),
  targets: z
    .array(targetInput.extend({ percentage: whole(0, 100) }))
    .min(1, 'must be at least 1')
    .max(MOST_TARGETS, `must be at most ${MOST_TARGETS}`)
    .superRefine((targets, context) => {
      const sum = targets.reduce((total, { percentage }) => total + percentage, 0);
      if (sum !== 100) context.addIssue(`must have percentages whose sum is 100, not ${sum}`);
    }),
  version: z.int().nullish(),
});

export type SetTrafficSplitInput = z.input<typeof setTrafficSplitInput>;
