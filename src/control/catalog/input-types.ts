import type { InputFieldBuilder } from '@pothos/core';
import { builder, type Types } from '../schema/builder.ts';

/** What may be said of a model besides its name. */
const properties = (t: InputFieldBuilder<PothosSchemaTypes.ExtendDefaultTypes<Types>, 'InputObject'>) => ({
  displayName: t.string({
    description: 'The name for people, up to 200 characters. Of a new model by default its `name`.',
  }),
  description: t.string({ description: 'What it is good for, up to 2,000 characters; null: nothing is said.' }),
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
