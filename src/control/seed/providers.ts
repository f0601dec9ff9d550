import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { fromUsd, pricePerToken } from '../../platform/money.ts';
import { writeModels } from '../catalog/catalog.ts';
import { providerKey, storeKey } from '../providers/providers.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { SeedParts } from './parts.ts';

const DATA = new URL('../../../prisma/seed/providers.json', import.meta.url);

/** Answers until a real provider takes over. */
const FIRST_ACTIVE = 'sandbox';

/** USD per 1M tokens → integer picodollars per token. */
const price = z.string().transform((text, context) => {
  const perMillion = fromUsd(text);
  const perToken = perMillion === null ? null : pricePerToken(perMillion);
  if (perToken !== null) return perToken;
  context.addIssue('is no price');
  return z.NEVER;
});

const parts = {
  cacheReadPrice: price.optional(),
  cacheWritePrice: price.optional(),
  cacheWrite1hPrice: price.optional(),
  reasoningPrice: price.optional(),
};

const priceTier = z.strictObject({ aboveTokens: z.int(), inputPrice: price, outputPrice: price, ...parts });

const seedProviders = z.array(
  z.strictObject({
    slug: z.string(),
    name: z.string(),
    kind: z.enum(Object.keys(PROVIDER_KINDS) as [ProviderKind, ...ProviderKind[]]),
    /** Absent: what the kind speaks. */
    dialect: z.enum(['OPENAI', 'ANTHROPIC', 'GEMINI']).nullable().default(null),
    priority: z.int(),
    models: z.array(
      z.strictObject({
        name: z.string(),
        displayName: z.string(),
        inputPrice: price,
        outputPrice: price,
        ...parts,
        priceTiers: z.array(priceTier).optional(),
        contextTokens: z.int(),
        /** Absent: it answers with no tokens, as models for embeddings do. */
        maxOutputTokens: z.int().optional(),
      }),
    ),
  }),
);

/**
 * Creates the providers of the main kinds with their models: enabled where the settings hold a key for them, else
 * disabled until they get one. The sandboxes are enabled, and the one that speaks like OpenAI is active.
 */
export async function createProviders(tx: Transaction, { secretBox, settings, log }: SeedParts): Promise<void> {
  const providers = seedProviders.parse(JSON.parse(await readFile(DATA, 'utf8')));
  for (const { models, ...provider } of providers) {
    const { keyVariable, worksWithoutKey } = PROVIDER_KINDS[provider.kind];
    const found = keyVariable ? settings.providerKeys.get(keyVariable)?.trim() : undefined;
    const key = found === undefined ? null : providerKey.safeParse(found);
    if (key?.error) log.warn(`${keyVariable} does not look like a key and was not stored`);
    const id = uuidv7();
    const isEnabled = worksWithoutKey || Boolean(key?.data);
    await tx.provider.create({ data: { ...provider, id, isEnabled } });
    if (key?.data) await storeKey(tx, secretBox, id, { key: key.data });
    await writeModels(tx, id, models, 'CATALOG');
    if (provider.slug === FIRST_ACTIVE)
      await tx.configuration.update({ where: { id: 1 }, data: { activeProviderId: id } });
  }
}
