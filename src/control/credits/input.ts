import { z } from 'zod';
import { printable, text } from '../schema/input-rules.ts';

export const LONGEST_NOTE = 500;
export const LONGEST_KEY = 200;

export const grantCreditsInput = z.object({
  userId: z.string(),
  amount: z.bigint().refine((amount) => amount !== 0n, 'must not be 0'),
  note: text(LONGEST_NOTE)
    .nullish()
    .transform((note) => note ?? null),
  key: printable(LONGEST_KEY)
    .nullish()
    .transform((key) => key ?? null),
});

export type GrantCreditsInput = z.input<typeof grantCreditsInput>;
