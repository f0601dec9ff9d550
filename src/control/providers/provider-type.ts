import { dialectOf } from '../../gateway/upstream/kinds.ts';
import { ModelConnection, modelPageArgs, modelPageComplexity, providerModelsPage } from '../catalog/catalog.ts';
import { builder } from '../schema/builder.ts';
import { byIdOrSlug } from '../schema/by-id-or-slug.ts';
import { listComplexity } from '../schema/list-complexity.ts';
import { DialectEnum, ProviderKindEnum } from '../schema/provider-kind.ts';
import './health-type.ts';
import { resolveBaseUrl } from './lookup.ts';

export const Provider = builder.prismaObject('Provider', {
  description: 'An upstream account: where it is, what it may be used for, and its key. Admins only.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    slug: t.exposeString('slug', { description: 'Its name in `model`: `<slug>/<model>` sends to this provider.' }),
    name: t.exposeString('name', { description: 'The name for people.' }),
    kind: t.expose('kind', { type: ProviderKindEnum, description: 'What it is.' }),
    dialect: t.field({
      type: DialectEnum,
      description: 'What it speaks.',
      select: { kind: true, dialect: true, baseUrl: true },
      resolve: (provider) => dialectOf(provider),
    }),
    baseUrl: t.string({
      nullable: true,
      description:
        'Where it is called: its own address, or its kind’s default. Null: this server does not know it yet.',
      resolve: (provider, _args, { services }) =>
        resolveBaseUrl(provider) ?? services.snapshots.current.providersById.get(provider.id)?.baseUrl ?? null,
    }),
    isEnabled: t.exposeBoolean('isEnabled', { description: 'Whether completions may go to it.' }),
    isOpenToOwnKeys: t.exposeBoolean('isOpenToOwnKeys', {
      description:
        'Whether users with keys of their own may use it while it is disabled: true for want of a key, false once an admin has disabled it.',
    }),
    isActive: t.boolean({
      description: 'Whether it is the active one, to which the route `default` sends while it has no targets.',
      resolve: ({ id }, _args, { services }) => services.snapshots.current.activeProviderId === id,
    }),
    priority: t.exposeInt('priority', { description: 'Lower is tried earlier when another provider fails.' }),
    timeoutMs: t.exposeInt('timeoutMs', { description: 'Longest time of one upstream call, in milliseconds.' }),
    region: t.exposeString('region', {
      nullable: true,
      description: 'Where it computes, in the operator’s words; routes may prefer regions. Null: not said.',
    }),
    version: t.exposeInt('version', { description: 'Goes up with each change; give it to `updateProvider`.' }),
    keyHint: t.string({
      nullable: true,
      description: 'What may be shown of its oldest key: `sk-…a1b2`; `providerKeys` has all. Null: it has none.',
      select: { keys: { select: { hint: true }, orderBy: { id: 'asc' }, take: 1 } },
      resolve: ({ keys }) => keys[0]?.hint ?? null,
    }),
    models: t.field({
      type: ModelConnection,
      description: 'Its catalog entries; the first enabled one is used where no model is named.',
      args: modelPageArgs(),
      complexity: modelPageComplexity,
      resolve: ({ id }, page, context) => providerModelsPage(context, id, page),
    }),
    health: t.relation('health', {
      nullable: true,
      description: 'Whether it answers. Null: it was neither tested nor used yet.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was changed last.' }),
  }),
});

builder.queryFields((t) => ({
  providers: t.prismaField({
    type: ['Provider'],
    authScopes: { admin: true },
    description: 'All providers, in the order in which they are tried. Admins only.',
    complexity: listComplexity(({ providers }) => providers.length),
    resolve: (query, _root, _args, { services }) =>
      services.prisma.provider.findMany({ ...query, orderBy: [{ priority: 'asc' }, { slug: 'asc' }] }),
  }),
  provider: t.prismaField({
    type: 'Provider',
    nullable: true,
    authScopes: { admin: true },
    description: 'One provider; null when there is none. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'Its id or its slug.' }) },
    resolve: (query, _root, { id }, { services }) =>
      services.prisma.provider.findUnique({ ...query, where: byIdOrSlug(id) }),
  }),
}));
