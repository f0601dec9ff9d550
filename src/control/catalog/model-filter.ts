import { z } from 'zod';
import { Prisma } from '../../generated/prisma/client.ts';
import { isUuid } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import { builder } from '../schema/builder.ts';
import { containsPattern } from '../schema/contains-pattern.ts';
import { whole } from '../schema/input-rules.ts';
import { parseInput } from '../schema/parse-input.ts';

export const ModelFilter = builder.inputType('ModelFilter', {
  description: 'Which models to list; all that is given must fit.',
  fields: (t) => ({
    provider: t.id({ description: 'Those of this provider: its slug or id.' }),
    search: t.string({
      description: 'Part of the name, the display name or the description, in any case. Up to 200 characters.',
    }),
    isEnabled: t.boolean({ description: 'Whether completions may go to it.' }),
    isPriced: t.boolean({ description: 'Whether it has a `priceSource`.' }),
    minContextTokens: t.int({ description: 'At least so many tokens of context, and known.' }),
    maxInputPrice: t.field({ type: 'USD', description: 'At most so much per 1M input tokens, and known.' }),
    maxOutputPrice: t.field({ type: 'USD', description: 'At most so much per 1M output tokens, and known.' }),
  }),
});

const price = z.bigint().min(0n, 'must be 0 or more dollars per 1M tokens');

const modelFilter = z.object({
  filter: z
    .object({
      provider: z.string().nullish(),
      search: z.string().max(200, 'must be at most 200 characters').nullish(),
      isEnabled: z.boolean().nullish(),
      isPriced: z.boolean().nullish(),
      minContextTokens: whole(0, 2_147_483_647).nullish(),
      maxInputPrice: price.nullish(),
      maxOutputPrice: price.nullish(),
    })
    .nullish(),
});

export type WantedModels = z.input<typeof modelFilter>['filter'];

/**
 * A filter as a condition on `m` (models), `p` (providers) and `v` (price_versions).
 * @throws ValidationError
 */
export function filterCondition(input: WantedModels): Prisma.Sql {
  const filter = parseInput(modelFilter, { filter: input }).filter ?? {};
  const parts = [Prisma.sql`true`];
  if (filter.provider)
    parts.push(
      isUuid(filter.provider)
        ? Prisma.sql`p.id = ${filter.provider}::uuid`
        : Prisma.sql`p.slug = ${storable(filter.provider)}`,
    );
  if (filter.search) {
    const pattern = containsPattern(filter.search);
    parts.push(
      Prisma.sql`(m.name ILIKE ${pattern} OR m.display_name ILIKE ${pattern} OR m.description ILIKE ${pattern})`,
    );
  }
  if (filter.isEnabled != null) parts.push(Prisma.sql`m.is_enabled = ${filter.isEnabled}`);
  if (filter.isPriced != null) parts.push(Prisma.sql`(v.id IS NOT NULL) = ${filter.isPriced}`);
  if (filter.minContextTokens != null) parts.push(Prisma.sql`m.context_tokens >= ${filter.minContextTokens}`);
  if (filter.maxInputPrice != null) parts.push(costsAtMost(Prisma.sql`'input'`, filter.maxInputPrice));
  if (filter.maxOutputPrice != null) parts.push(costsAtMost(Prisma.sql`'output'`, filter.maxOutputPrice));
  return Prisma.join(parts, ' AND ');
}

/** Stored are picodollars per token, asked for are those per 1M tokens. */
function costsAtMost(part: Prisma.Sql, perMillion: bigint): Prisma.Sql {
  return Prisma.sql`(v.components ->> ${part})::numeric * 1000000 <= ${perMillion.toString()}::numeric`;
}
