import { DIALECTS } from '../../gateway/upstream/dialects.ts';
import { choosesDialect, type KindInfo, PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import { builder } from '../schema/builder.ts';
import { DialectEnum, ProviderKindEnum } from '../schema/provider-kind.ts';

type Kind = KindInfo & { kind: ProviderKind };

const ProviderKindInfo = builder.objectRef<Kind>('ProviderKindInfo').implement({
  description: 'What a kind of provider needs.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ProviderKindEnum, description: 'The kind.' }),
    name: t.exposeString('name', { description: 'The name for people.' }),
    defaultBaseUrl: t.exposeString('defaultBaseUrl', {
      nullable: true,
      description: 'Where it is. Null: CUSTOM must be given an address; SANDBOX is inside each server of Signalbox.',
    }),
    dialect: t.expose('dialect', { type: DialectEnum, description: 'What it speaks.' }),
    choosesDialect: t.boolean({
      description: 'Whether a provider of this kind may say that it speaks another dialect.',
      resolve: ({ kind }) => choosesDialect(kind),
    }),
    authHeader: t.string({
      description: 'The header that carries its key, by its dialect: `authorization`, `x-api-key`.',
      resolve: ({ dialect }) => DIALECTS[dialect].auth.header,
    }),
    refuses: t.stringList({
      description: 'Members of a chat completion that its API refuses. They are left out, with a warning.',
      resolve: ({ refuses }) => [...refuses],
    }),
    hasModelList: t.boolean({
      description: 'Whether it lists its models, for `discoverModels`.',
      resolve: ({ modelsPath }) => modelsPath !== null,
    }),
    hasEmbeddings: t.exposeBoolean('hasEmbeddings', { description: 'Whether it makes embeddings.' }),
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
