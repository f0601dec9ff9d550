import { type KindInfo, PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import { builder } from '../schema/builder.ts';
import { ProviderKindEnum } from '../schema/provider-kind.ts';

type Kind = KindInfo & { kind: ProviderKind };

const ProviderKindInfo = builder.objectRef<Kind>('ProviderKindInfo').implement({
  description: 'What a kind of provider needs.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ProviderKindEnum, description: 'The kind.' }),
    name: t.exposeString('name', { description: 'The name for people.' }),
    defaultBaseUrl: t.exposeString('defaultBaseUrl', {
      nullable: true,
      description:
        'Where its OpenAI dialect is. Null: CUSTOM must be given an address; SANDBOX is inside each server of Signalbox.',
    }),
    worksWithoutKey: t.exposeBoolean('worksWithoutKey', {
      description: 'Whether one can be enabled that has no key.',
    }),
    environmentVariable: t.exposeString('keyVariable', {
      nullable: true,
      description: 'Environment variable whose key is stored at the first start: `OPENAI_API_KEY`. Null: none.',
    }),
    keyFormat: t.exposeString('keyFormat', {
      nullable: true,
      description: 'What its keys look like: `sk-…`. Null: they have no mark of their own.',
    }),
    docsUrl: t.exposeString('docsUrl', { nullable: true, description: 'Its documentation; null: there is none.' }),
  }),
});

builder.queryField('providerKinds', (t) =>
  t.field({
    type: [ProviderKindInfo],
    authScopes: { public: true },
    description: 'The kinds of providers, and what each needs.',
    resolve: () => Object.entries(PROVIDER_KINDS).map(([kind, info]) => ({ ...info, kind: kind as ProviderKind })),
  }),
);
