import type { PriceComponents } from '../../gateway/ledger/prices.ts';
import type { PriceVersion } from '../../generated/prisma/client.ts';
import { builder } from '../schema/builder.ts';

export const Model = builder.prismaObject('Model', {
  description:
    'A catalog entry of one provider. Prices are in USD per 1M tokens; null means that the price is unknown.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    name: t.exposeString('name', { description: 'The name the provider knows it by.' }),
    displayName: t.exposeString('displayName', { description: 'The name for people.' }),
    inputPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens.',
      select: { priceVersion: true },
      resolve: ({ priceVersion }) => perMillion(priceVersion, 'input'),
    }),
    outputPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M output tokens, reasoning included.',
      select: { priceVersion: true },
      resolve: ({ priceVersion }) => perMillion(priceVersion, 'output'),
    }),
    cacheReadPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens that came from the provider’s cache. Null: as `inputPrice`.',
      select: { priceVersion: true },
      resolve: ({ priceVersion }) => perMillion(priceVersion, 'cacheRead'),
    }),
    cacheWritePrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens that were written to the provider’s cache. Null: as `inputPrice`.',
      select: { priceVersion: true },
      resolve: ({ priceVersion }) => perMillion(priceVersion, 'cacheWrite'),
    }),
    contextTokens: t.exposeInt('contextTokens', {
      nullable: true,
      description: 'Tokens of input and output that fit together; null when unknown.',
    }),
    maxOutputTokens: t.exposeInt('maxOutputTokens', {
      nullable: true,
      description: 'Most tokens of one answer; null when unknown.',
    }),
    isEnabled: t.exposeBoolean('isEnabled', { description: 'Whether completions may go to it.' }),
  }),
});

function perMillion(price: PriceVersion | null, part: keyof PriceComponents): bigint | null {
  const perToken = (price?.components as unknown as PriceComponents | undefined)?.[part];
  return perToken === undefined ? null : BigInt(perToken) * 1_000_000n;
}
