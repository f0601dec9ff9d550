import { type PriceVersion, priceVersion, type Rates } from '../../gateway/ledger/prices.ts';
import type { StatedPrice } from '../../gateway/snapshot/snapshot.ts';
import { uuidv7 } from '../../platform/ids.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { ModelInput } from './input.ts';

/** Where the first model of a provider stands; those added later come after the ones that are there. */
const FIRST_POSITION = 100;

/**
 * Adds the named models to a provider's catalog and updates those it has; others stay. Three statements, however many.
 * A field that is absent stays as it is; prices are replaced together, and `null` takes them away.
 * @param source whose prices the inputs have; those of the other stay
 */
export async function writeModels(
  tx: Transaction,
  providerId: string,
  inputs: readonly ModelInput[],
  source: StatedPrice['source'],
): Promise<void> {
  if (inputs.length === 0) return;
  const existing = await tx.model.findMany({ where: { providerId, name: { in: inputs.map(({ name }) => name) } } });
  const byName = new Map(existing.map((row) => [row.name, row]));
  const prices = new Map<string, PriceVersion>();
  const rows = inputs.map((input, index) => {
    const old = byName.get(input.name);
    const price = priceOf(input);
    if (price) prices.set(price.id, price);
    const priceId = (of: StatedPrice['source'], oldId: string | null = null) =>
      of === source && price !== undefined ? (price?.id ?? null) : oldId;
    return {
      id: old?.id ?? uuidv7(),
      name: input.name,
      display_name: input.displayName ?? old?.displayName ?? input.name,
      description: input.description === undefined ? (old?.description ?? null) : input.description,
      price_version_id: priceId('CATALOG', old?.priceVersionId),
      override_price_version_id: priceId('OVERRIDE', old?.overrideId),
      context_tokens: input.contextTokens === undefined ? (old?.contextTokens ?? null) : input.contextTokens,
      max_output_tokens: input.maxOutputTokens === undefined ? (old?.maxOutputTokens ?? null) : input.maxOutputTokens,
      quality: input.quality === undefined ? (old?.quality ?? null) : input.quality,
      is_enabled: input.isEnabled ?? old?.isEnabled ?? true,
      place: index,
    };
  });
  await tx.priceVersion.createMany({
    // In the order of their ids, as the drain adds prices, so that neither waits for the other in a circle.
    data: [...prices.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    skipDuplicates: true,
  });
  await tx.$executeRaw`
    INSERT INTO models (id, provider_id, name, display_name, description, price_version_id,
                        override_price_version_id, context_tokens, max_output_tokens, quality, is_enabled, position)
    SELECT m.id, ${providerId}::uuid, m.name, m.display_name, m.description, m.price_version_id,
           m.override_price_version_id, m.context_tokens, m.max_output_tokens, m.quality, m.is_enabled,
           last.position + 1 + m.place
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
           AS m(id uuid, name text, display_name text, description text, price_version_id text,
                override_price_version_id text, context_tokens int, max_output_tokens int, quality int, is_enabled boolean,
                place int),
           (SELECT COALESCE(max(position), ${FIRST_POSITION - 1}::int) AS position
              FROM models WHERE provider_id = ${providerId}::uuid) AS last
        ON CONFLICT (provider_id, name) DO UPDATE
       SET display_name = EXCLUDED.display_name, description = EXCLUDED.description,
           price_version_id = EXCLUDED.price_version_id,
           override_price_version_id = EXCLUDED.override_price_version_id, context_tokens = EXCLUDED.context_tokens,
           max_output_tokens = EXCLUDED.max_output_tokens, quality = EXCLUDED.quality, is_enabled = EXCLUDED.is_enabled,
           version = models.version + 1, updated_at = now()`;
}

/** Undefined: the input does not say. Null: there is none. */
function priceOf(input: ModelInput): PriceVersion | null | undefined {
  const { inputPrice, outputPrice, priceTiers } = input;
  if (inputPrice === undefined && outputPrice === undefined) return undefined;
  if (inputPrice == null || outputPrice == null) return null;
  const tiers = priceTiers?.map((tier) => ({ above: tier.aboveTokens, ...ratesOf(tier) }));
  return priceVersion({ ...ratesOf({ ...input, inputPrice, outputPrice }), tiers });
}

type PriceInput = Pick<ModelInput, 'cacheReadPrice' | 'cacheWritePrice' | 'cacheWrite1hPrice' | 'reasoningPrice'>;

function ratesOf(prices: PriceInput & { inputPrice: number; outputPrice: number }): Rates {
  const { inputPrice, outputPrice, cacheReadPrice, cacheWritePrice, cacheWrite1hPrice, reasoningPrice } = prices;
  return {
    input: inputPrice,
    output: outputPrice,
    ...(cacheReadPrice == null ? {} : { cacheRead: cacheReadPrice }),
    ...(cacheWritePrice == null ? {} : { cacheWrite: cacheWritePrice }),
    ...(cacheWrite1hPrice == null ? {} : { cacheWrite1h: cacheWrite1hPrice }),
    ...(reasoningPrice == null ? {} : { reasoning: reasoningPrice }),
  };
}
