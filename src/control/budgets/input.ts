import { z } from 'zod';
import { BudgetEnforcement, BudgetPeriod, BudgetScope } from '../../generated/prisma/client.ts';
import { text } from '../schema/input-rules.ts';

const DEFAULT_THRESHOLDS = [50, 80, 100];

const threshold = z
  .int('must be a whole percentage')
  .min(1, 'must be from 1 to 1,000')
  .max(1_000, 'must be from 1 to 1,000');

export const setBudgetInput = z
  .object({
    name: text(100)
      .nullish()
      .transform((name) => name ?? null),
    limit: z.bigint().positive('must be more than 0'),
    period: z
      .enum(BudgetPeriod)
      .nullish()
      .transform((period) => period ?? 'MONTHLY'),
    scope: z
      .enum(BudgetScope)
      .nullish()
      .transform((scope) => scope ?? 'USER'),
    subject: z
      .string()
      .nullish()
      .transform((subject) => subject ?? ''),
    enforcement: z
      .enum(BudgetEnforcement)
      .nullish()
      .transform((enforcement) => enforcement ?? 'HARD'),
    thresholds: z
      .array(threshold)
      .max(10, 'must be at most 10')
      .refine((list) => new Set(list).size === list.length, 'must not have one twice')
      .nullish()
      .transform((list) => [...(list ?? DEFAULT_THRESHOLDS)].sort((a, b) => a - b)),
    version: z.int().nullish(),
  })
  .superRefine(({ scope, subject }, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', path: ['subject'], message });
    if (scope === 'EVERYTHING' && subject !== '') issue('must be left out with the scope EVERYTHING');
    if (!['EVERYTHING', 'USER'].includes(scope) && subject === '') issue(`must be given with the scope ${scope}`);
  });

export type SetBudgetInput = z.input<typeof setBudgetInput>;
