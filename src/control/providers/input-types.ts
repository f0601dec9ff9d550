import { ModelInput } from '../catalog/catalog.ts';
import { builder } from '../schema/builder.ts';
import { DialectEnum, ProviderKindEnum } from '../schema/provider-kind.ts';

export const CreateProvider = builder.inputType('CreateProviderInput', {
  description: 'A new provider.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'The name for people, up to 100 characters.' }),
    slug: t.string({
      description: 'Lower-case letters, digits and dashes, up to 63; unique. Default: made from the name.',
    }),
    kind: t.field({
      type: ProviderKindEnum,
      description: 'What it is. Default: inferred from the address, then the name, else CUSTOM.',
    }),
    baseUrl: t.string({
      description: 'Where it is: `https://api.example.com/v1`. Default: the kind’s; CUSTOM has none.',
    }),
    dialect: t.field({
      type: DialectEnum,
      description:
        'What it speaks. For CUSTOM and SANDBOX, whose default is OPENAI; all others speak what their kind does.',
    }),
    isEnabled: t.boolean({
      description: 'Whether completions may go to it. Default: true, if it has the key that its kind needs.',
    }),
    priority: t.int({ description: 'Lower is tried earlier when another provider fails. Default: 100.' }),
    timeoutMs: t.int({
      description: 'Longest time of one upstream call, 1,000 to 3,600,000 milliseconds. Default: 600,000.',
    }),
    region: t.string({
      description:
        'Where it computes, in words of your own, up to 50 characters: `eu`, `us-east-1`. Routes may prefer regions.',
    }),
    apiKey: t.string({ description: 'Its key. Stored encrypted, and never shown again.' }),
    models: t.field({
      type: [ModelInput],
      description: 'Its models, up to 500. The first is used where none is named.',
    }),
  }),
});

export const UpdateProvider = builder.inputType('UpdateProviderInput', {
  description:
    'Changes to a provider. A field that is left out stays as it is, and so does one that is null, except `baseUrl`, `dialect` and `region`.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Its id or its slug.' }),
    version: t.int({ description: 'The `version` that the change is based on. A stale one is refused. Default: any.' }),
    name: t.string({ description: 'The name for people, up to 100 characters.' }),
    slug: t.string({
      description:
        'Lower-case letters, digits and dashes, up to 63; unique. It cannot change while routes fall back on `<slug>/<model>`.',
    }),
    kind: t.field({ type: ProviderKindEnum, description: 'What it is.' }),
    baseUrl: t.string({ description: 'Where it is. Null: the kind’s default.' }),
    dialect: t.field({ type: DialectEnum, description: 'What it speaks, for CUSTOM and SANDBOX. Null: OPENAI.' }),
    isEnabled: t.boolean({ description: 'Whether completions may go to it. The active provider cannot be disabled.' }),
    isOpenToOwnKeys: t.boolean({
      description:
        'Whether users with keys of their own may use it while it is disabled. Default: as `isEnabled` says, if that is given.',
    }),
    priority: t.int({ description: 'Lower is tried earlier when another provider fails.' }),
    timeoutMs: t.int({ description: 'Longest time of one upstream call, 1,000 to 3,600,000 milliseconds.' }),
    region: t.string({ description: 'Where it computes, in words of your own, up to 50 characters. Null: not said.' }),
    models: t.field({ type: [ModelInput], description: 'Models to add or update, up to 500. The others stay.' }),
  }),
});

export const SetProviderKey = builder.inputType('SetProviderKeyInput', {
  description: 'A key of a provider. It takes the place of the one that has its name, or comes to the others.',
  fields: (t) => ({
    provider: t.id({ required: true, description: 'The provider’s id or slug.' }),
    key: t.string({
      description:
        'The key: up to 4,096 characters without white space. Left out: the one of this name stays, with another `weight`.',
    }),
    name: t.string({
      description: 'What to call it, up to 100 characters. A provider has up to 20 keys. Default: `default`.',
    }),
    weight: t.int({
      description:
        'Its share of the provider’s calls, relative to those of its other keys, 1 to 1,000. Default: that of the key whose place it takes, else 1.',
    }),
  }),
});
