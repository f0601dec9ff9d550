import type { CostSource, Usage } from '../../gateway/ledger/prices.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';

/** Usage, and whether it was counted here. */
export type ReportedUsage = Usage & { isEstimated: boolean };

export const UsageType = builder.objectRef<ReportedUsage>('Usage').implement({
  description: 'Tokens that were used. Null: the provider did not say.',
  fields: (t) => ({
    inputTokens: t.exposeInt('inputTokens', { nullable: true, description: 'Of the prompt, cached ones included.' }),
    outputTokens: t.exposeInt('outputTokens', {
      nullable: true,
      description: 'Of the answer, reasoning included.',
    }),
    totalTokens: t.int({
      nullable: true,
      description: 'Input and output together.',
      resolve: ({ inputTokens, outputTokens }) =>
        inputTokens === null || outputTokens === null ? null : inputTokens + outputTokens,
    }),
    cachedTokens: t.exposeInt('cachedTokens', { nullable: true, description: 'Input tokens read from a cache.' }),
    reasoningTokens: t.exposeInt('reasoningTokens', {
      nullable: true,
      description: 'Output tokens spent on reasoning.',
    }),
    isEstimated: t.exposeBoolean('isEstimated', {
      description: 'Whether Signalbox counted them, because the provider did not.',
    }),
  }),
});

export const CostSourceEnum = enumOf<CostSource>('CostSource', 'How a cost came about.', {
  PRICED: 'Usage × the price of the model that answered, at that time.',
  REPORTED: 'The provider said what the call cost, as OpenRouter does.',
  FREE: 'It failed before its first token, which is taken to cost nothing.',
});
