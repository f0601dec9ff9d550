import type { InputFieldBuilder } from '@pothos/core';
import { builder, type Types } from '../schema/builder.ts';

type Fields = InputFieldBuilder<PothosSchemaTypes.ExtendDefaultTypes<Types>, 'InputObject'>;

/** Prices that need not be given. */
const parts = (t: Fields) => ({
  cacheReadPrice: t.field({ type: 'USD', description: 'Per 1M cached input tokens. Default: `inputPrice`.' }),
  cacheWritePrice: t.field({
    type: 'USD',
    description: 'Per 1M input tokens written to the cache, for five minutes. Default: `inputPrice`.',
  }),
  cacheWrite1hPrice: t.field({
    type: 'USD',
    description: 'Per 1M input tokens written to the cache for an hour. Default: `cacheWritePrice`.',
  }),
  reasoningPrice: t.field({ type: 'USD', description: 'Per 1M output tokens of reasoning. Default: `outputPrice`.' }),
});

const PriceTierInput = builder.inputType('PriceTierInput', {
  description: 'Prices for all tokens of a request with a long input.',
  fields: (t) => ({
    aboveTokens: t.int({
      required: true,
      description: 'They hold for requests with more input tokens than this, cached ones included: 200000.',
    }),
    inputPrice: t.field({ type: 'USD', required: true, description: 'Per 1M input tokens.' }),
    outputPrice: t.field({ type: 'USD', required: true, description: 'Per 1M output tokens.' }),
    ...parts(t),
  }),
});

/** What may be said of a model besides its name. */
const properties = (t: Fields) => ({
  displayName: t.string({
    description: 'The name for people, up to 200 characters. Of a new model by default its `name`.',
  }),
  description: t.string({ description: 'What it is good for, up to 2,000 characters; null: nothing is said.' }),
  inputPrice: t.field({
    type: 'USD',
    description:
      'Per 1M input tokens. What is set here is an override: it goes before what the provider reports and before all other prices. All prices of a model are replaced together; null takes the override away.',
  }),
  outputPrice: t.field({ type: 'USD', description: 'Per 1M output tokens; needed with `inputPrice`.' }),
  ...parts(t),
  priceTiers: t.field({ type: [PriceTierInput], description: 'Other prices for long inputs, up to 10.' }),
  contextTokens: t.int({ description: 'Tokens of input and output that fit together; null: unknown.' }),
  maxOutputTokens: t.int({ description: 'Most tokens of one answer; null: unknown.' }),
  quality: t.int({
    description:
      'How good it is, 0 to 100; routes with the strategies BALANCED and CUSTOM go by it. Null: unknown, which counts as the median of the models it competes with.',
  }),
  isEnabled: t.boolean({ description: 'Whether completions may go to it. Of a new model by default true.' }),
});

const NAME = 'The name the provider knows it by: up to 200 printable ASCII characters without white space.';

/** A model within the input of its provider. */
export const ModelInput = builder.inputType('ModelInput', {
  description: 'A model of a provider. For one that is there already, a field that is left out stays as it is.',
  fields: (t) => ({ name: t.string({ required: true, description: NAME }), ...properties(t) }),
});

export const CreateModel = builder.inputType('CreateModelInput', {
  description: 'A new model of a provider.',
  fields: (t) => ({
    provider: t.id({ required: true, description: 'The provider’s slug or id.' }),
    name: t.string({ required: true, description: NAME }),
    ...properties(t),
  }),
});

export const UpdateModel = builder.inputType('UpdateModelInput', {
  description: 'Changes to a model. A field that is left out stays as it is.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Its id or its slug.' }),
    version: t.int({ description: 'The `version` that the change is based on. A stale one is refused. Default: any.' }),
    ...properties(t),
  }),
});
