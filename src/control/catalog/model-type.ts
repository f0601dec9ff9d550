import type { StatedPrice } from '../../gateway/snapshot/snapshot.ts';
import { builder } from '../schema/builder.ts';
import { connectionOf } from '../schema/connections.ts';
import { enumOf } from '../schema/enum-of.ts';
import { ProviderKindEnum } from '../schema/provider-kind.ts';
import { type CatalogModel, slugOf } from './model-rows.ts';
import { PriceTier, perMillion } from './price-tier.ts';

const PriceSource = enumOf<StatedPrice['source']>('PriceSource', 'Who says what a model costs.', {
  OVERRIDE:
    'An admin, by `createModel`, `updateModel`, `createProvider` or `updateProvider`. It goes before what the provider reports and before all other prices.',
  CATALOG:
    'The catalog. Completions are priced with it where neither the provider nor the price list of Signalbox says what they cost.',
});

export const Model = builder.objectRef<CatalogModel>('Model').implement({
  description:
    'A catalog entry of one provider. Prices are in USD per 1M tokens; they are null where nobody has stated any.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    slug: t.string({
      description: '`<provider slug>/<name>`, such as `openai/gpt-4.1`: put it in `model` to get this model.',
      resolve: slugOf,
    }),
    name: t.exposeString('name', { description: 'The name the provider knows it by. It never changes.' }),
    displayName: t.exposeString('displayName', { description: 'The name for people.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is good for. Null: not said.' }),
    providerSlug: t.exposeString('providerSlug', { description: 'Slug of the provider it is at.' }),
    providerName: t.exposeString('providerName', { description: 'That provider’s name for people.' }),
    providerKind: t.expose('providerKind', { type: ProviderKindEnum, description: 'What that provider is.' }),
    priceSource: t.expose('priceSource', {
      type: PriceSource,
      nullable: true,
      description:
        'Who says the prices below. Null: nobody; completions are priced with the price list, if that knows the model.',
    }),
    inputPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens.',
      resolve: ({ price }) => perMillion(price?.input),
    }),
    outputPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M output tokens.',
      resolve: ({ price }) => perMillion(price?.output),
    }),
    cacheReadPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens that came from the provider’s cache. Null: as `inputPrice`.',
      resolve: ({ price }) => perMillion(price?.cacheRead),
    }),
    cacheWritePrice: t.field({
      type: 'USD',
      nullable: true,
      description:
        'Per 1M input tokens that were written to the provider’s cache, for five minutes. Null: as `inputPrice`.',
      resolve: ({ price }) => perMillion(price?.cacheWrite),
    }),
    cacheWrite1hPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens that were written to the cache for an hour. Null: as `cacheWritePrice`.',
      resolve: ({ price }) => perMillion(price?.cacheWrite1h),
    }),
    reasoningPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M output tokens of reasoning. Null: as `outputPrice`.',
      resolve: ({ price }) => perMillion(price?.reasoning),
    }),
    priceTiers: t.field({
      type: [PriceTier],
      description:
        'Other prices for long inputs, by length. The last one that a request reaches prices all its tokens.',
      resolve: ({ price }) => [...(price?.tiers ?? [])],
    }),
    contextTokens: t.exposeInt('contextTokens', {
      nullable: true,
      description: 'Tokens of input and output that fit together; null when unknown.',
    }),
    maxOutputTokens: t.exposeInt('maxOutputTokens', {
      nullable: true,
      description: 'Most tokens of one answer; null when unknown.',
    }),
    quality: t.exposeInt('quality', {
      nullable: true,
      description: 'How good it is, 0 to 100. Null: unknown; it counts as the median of the models it competes with.',
    }),
    isEnabled: t.exposeBoolean('isEnabled', {
      description: 'Whether completions may go to it, provided that its provider is enabled.',
    }),
    version: t.exposeInt('version', { description: 'Goes up with each change; give it to `updateModel`.' }),
    discoveredAt: t.expose('discoveredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When `discoverModels` found it. Null: it was seeded, or created by an admin.',
    }),
    missingSince: t.expose('missingSince', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when the provider’s own list does not have it any more. Null: it has, or was not asked.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it came into the catalog.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was changed last.' }),
  }),
});

export const ModelConnection = connectionOf(Model, 'Model', 'models');
