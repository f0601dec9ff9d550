import { z } from 'zod';
import { pricePerToken } from '../../platform/money.ts';
import { eachOnce, printable, text, whole } from '../schema/input-rules.ts';

const INT_MAX = 2_147_483_647;

const tokens = whole(1, INT_MAX);
/** Picodollars per 1M tokens → integer picodollars per token. */
const price = z.bigint().transform((perMillion, context) => {
  const perToken = pricePerToken(perMillion);
  if (perToken !== null) return perToken;
  context.addIssue('must be 0 or more dollars per 1M tokens, with at most 6 decimals');
  return z.NEVER;
});
export const modelName = printable(200);
const description = z
  .string()
  .trim()
  .refine(
    (value) => value.length >= 1 && value.length <= 2_000 && !/(?![\n\t])[\p{Cc}\p{Cs}]/u.test(value),
    'must be a text of 1 to 2,000 characters',
  );

const parts = {
  cacheReadPrice: price.nullish(),
  cacheWritePrice: price.nullish(),
  cacheWrite1hPrice: price.nullish(),
  reasoningPrice: price.nullish(),
};

const priceTiers = z
  .array(z.object({ aboveTokens: tokens, inputPrice: price, outputPrice: price, ...parts }))
  .max(10, 'must be at most 10 tiers')
  .superRefine(eachOnce(({ aboveTokens }) => `${aboveTokens}`, ['aboveTokens']));

const prices = {
  inputPrice: price.nullish(),
  outputPrice: price.nullish(),
  ...parts,
  priceTiers: priceTiers.nullish(),
};

/** What may be said of a model besides its name. Absent: as it is, or by default. */
const properties = {
  displayName: text(200).nullish(),
  description: description.nullish(),
  ...prices,
  contextTokens: tokens.nullish(),
  maxOutputTokens: tokens.nullish(),
  quality: whole(0, 100).nullish(),
  isEnabled: z.boolean().nullish(),
};

type Prices = z.output<z.ZodObject<typeof prices>>;

/** Half a price would make a cost that is wrong. */
function pricesBelongTogether(value: Prices, context: z.RefinementCtx<Prices>): void {
  const { inputPrice, outputPrice, priceTiers } = value;
  const require = (path: keyof Prices, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if (inputPrice == null && outputPrice != null) require('inputPrice', 'must be given with outputPrice');
  if (outputPrice == null && inputPrice != null) require('outputPrice', 'must be given with inputPrice');
  const hasMore = Object.keys(parts).some((part) => value[part as keyof typeof parts] != null) || priceTiers?.length;
  if (inputPrice == null && hasMore) require('inputPrice', 'must be given with the other prices');
}

const model = z.object({ name: modelName, ...properties }).superRefine(pricesBelongTogether);

/** The models that a provider is created or updated with. */
export const modelsInput = z
  .array(model)
  .max(500, 'must be at most 500 models in one call')
  .superRefine(eachOnce(({ name }) => name, ['name']));

export const createModelInput = z
  .object({ provider: z.string(), name: modelName, ...properties })
  .superRefine(pricesBelongTogether);

export const updateModelInput = z
  .object({ id: z.string(), version: z.int().nullish(), ...properties })
  .superRefine(pricesBelongTogether);

/** A model of an input after parsing: prices are integer picodollars per token. */
export type ModelInput = z.output<typeof model>;
export type CreateModelInput = z.input<typeof createModelInput>;
export type UpdateModelInput = z.input<typeof updateModelInput>;
