import { z } from 'zod';
import { text } from '../schema/input-rules.ts';

export const repriceInput = z.object({
  from: z.date(),
  to: z.date(),
  provider: text(100)
    .nullish()
    .transform((provider) => provider ?? null),
  model: text(200)
    .nullish()
    .transform((model) => model ?? null),
  includePriced: z
    .boolean()
    .nullish()
    .transform((isIncluded) => isIncluded ?? false),
  isDryRun: z
    .boolean()
    .nullish()
    .transform((isDry) => isDry ?? true),
});

export type RepriceInput = z.input<typeof repriceInput>;
