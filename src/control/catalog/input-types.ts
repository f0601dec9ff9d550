import { builder } from '../schema/builder.ts';

/** A model within the input of its provider. */
export const ModelInput = builder.inputType('ModelInput', {
  description: 'A model of a provider. For one that is there already, a field that is left out stays as it is.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'The name the provider knows it by.' }),
    displayName: t.string({ description: 'The name for people. Default: `name`.' }),
    inputPrice: t.field({
      type: 'USD',
      description: 'Per 1M input tokens. All prices of a model are replaced together; null: unknown.',
    }),
    outputPrice: t.field({ type: 'USD', description: 'Per 1M output tokens; needed with `inputPrice`.' }),
    cacheReadPrice: t.field({ type: 'USD', description: 'Per 1M cached input tokens. Default: `inputPrice`.' }),
    cacheWritePrice: t.field({
      type: 'USD',
      description: 'Per 1M input tokens written to the cache. Default: `inputPrice`.',
    }),
    contextTokens: t.int({ description: 'Tokens of input and output that fit together; null: unknown.' }),
    maxOutputTokens: t.int({ description: 'Most tokens of one answer; null: unknown.' }),
    isEnabled: t.boolean({ description: 'Whether completions may go to it. Default: true.' }),
  }),
});
