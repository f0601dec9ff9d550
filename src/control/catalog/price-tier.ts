import type { Tier } from '../../gateway/ledger/prices.ts';
import { pricePerMillion } from '../../platform/money.ts';
import { builder } from '../schema/builder.ts';

export const PriceTier = builder.objectRef<Tier>('PriceTier').implement({
  description: 'What all tokens of a request with a long input cost, in USD per 1M tokens.',
  fields: (t) => ({
    aboveTokens: t.exposeInt('above', {
      description: 'It holds for requests with more input tokens than this, cached ones included.',
    }),
    inputPrice: t.field({
      type: 'USD',
      description: 'Per 1M input tokens.',
      resolve: ({ input }) => pricePerMillion(input),
    }),
    outputPrice: t.field({
      type: 'USD',
      description: 'Per 1M output tokens.',
      resolve: ({ output }) => pricePerMillion(output),
    }),
    cacheReadPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M cached input tokens. Null: as `inputPrice`.',
      resolve: ({ cacheRead }) => perMillion(cacheRead),
    }),
    cacheWritePrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens written to the cache, for five minutes. Null: as `inputPrice`.',
      resolve: ({ cacheWrite }) => perMillion(cacheWrite),
    }),
    cacheWrite1hPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M input tokens written to the cache for an hour. Null: as `cacheWritePrice`.',
      resolve: ({ cacheWrite1h }) => perMillion(cacheWrite1h),
    }),
    reasoningPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M output tokens of reasoning. Null: as `outputPrice`.',
      resolve: ({ reasoning }) => perMillion(reasoning),
    }),
  }),
});

/** A rate as the API tells it; null where there is none. */
export function perMillion(perToken: number | undefined): bigint | null {
  return perToken === undefined ? null : pricePerMillion(perToken);
}
