import { z } from 'zod';
import { text, whole } from '../schema/input-rules.ts';

const INT_MAX = 2_147_483_647;

const tokens = whole(1, INT_MAX);
/** Picodollars per 1M tokens → integer picodollars per token. */
const price = z.bigint().transform((perMillion, context) => {
  if (perMillion >= 0n && perMillion % 1_000_000n === 0n && perMillion / 1_000_000n <= Number.MAX_SAFE_INTEGER)
    return Number(perMillion / 1_000_000n);
  context.addIssue('must be 0 or more dollars per 1M tokens, with at most 6 decimals');
  return z.NEVER;
});

const model = z
  .object({
    name: z.string().regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable ASCII characters without white space'),
    displayName: text(200, 'a name of 1 to 200 characters').nullish(),
    inputPrice: price.nullish(),
    outputPrice: price.nullish(),
    cacheReadPrice: price.nullish(),
    cacheWritePrice: price.nullish(),
    contextTokens: tokens.nullish(),
    maxOutputTokens: tokens.nullish(),
    isEnabled: z.boolean().nullish(),
  })
  .superRefine((value, context) => {
    const { inputPrice, outputPrice, cacheReadPrice, cacheWritePrice } = value;
    if ((inputPrice ?? null) === null && (outputPrice ?? null) !== null)
      context.addIssue({ code: 'custom', path: ['inputPrice'], message: 'must be given with outputPrice' });
    if ((outputPrice ?? null) === null && (inputPrice ?? null) !== null)
      context.addIssue({ code: 'custom', path: ['outputPrice'], message: 'must be given with inputPrice' });
    if ((inputPrice ?? null) === null && ((cacheReadPrice ?? null) !== null || (cacheWritePrice ?? null) !== null))
      context.addIssue({ code: 'custom', path: ['inputPrice'], message: 'must be given with a cache price' });
  });

/** The models that a provider is created or updated with. */
export const modelsInput = z
  .array(model)
  .max(500, 'must be at most 500 models in one call')
  .superRefine((list, context) => {
    const seen = new Set<string>();
    for (const [index, { name }] of list.entries()) {
      if (seen.has(name)) context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is there twice' });
      seen.add(name);
    }
  });

/** A model of an input after parsing: prices are integer picodollars per token. */
export type ModelInput = z.output<typeof model>;
