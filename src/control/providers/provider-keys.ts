import { ConflictError, NotFoundError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { byIdOrSlug } from '../schema/by-id-or-slug.ts';
import { directOutcome } from '../schema/result.ts';
import { type DeletedKey, deleteProviderKey } from './delete.ts';
import { KeyRestReason, RESTING_UNTIL, restingUntil } from './key-rest.ts';
import { readProvider } from './lookup.ts';
import { Provider } from './provider-type.ts';

export const ProviderKey = builder.prismaObject('ProviderKey', {
  description: 'A key of a provider. It is stored encrypted, and never shown again. Admins only.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7. A key that replaces this one has another.' }),
    provider: t.relation('provider', { description: 'Whose key it is.' }),
    name: t.exposeString('name', { description: 'What admins call it; `setProviderKey` replaces a key by its name.' }),
    hint: t.exposeString('hint', { description: 'What may be shown of it: `sk-…a1b2`.' }),
    weight: t.exposeInt('weight', {
      description: 'Its share of the provider’s calls, relative to those of its other keys.',
    }),
    restingUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description: RESTING_UNTIL,
      resolve: ({ id }, _args, { services }) => restingUntil(services.gateway.restOf(id)),
    }),
    restReason: t.field({
      type: KeyRestReason,
      nullable: true,
      description: 'Why it rests; null: it does not.',
      resolve: ({ id }, _args, { services }) => services.gateway.restOf(id)?.reason ?? null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
  }),
});

builder.queryField('providerKeys', (t) =>
  t.prismaField({
    type: [ProviderKey],
    authScopes: { admin: true },
    description: 'The stored keys of the providers, masked, in the order in which providers are tried. Admins only.',
    args: { provider: t.arg.id({ description: 'The id or slug of one provider. Default: all.' }) },
    resolve: (query, _root, { provider }, { services }) =>
      services.prisma.providerKey.findMany({
        ...query,
        ...(provider == null ? {} : { where: { provider: byIdOrSlug(provider) } }),
        orderBy: [{ provider: { priority: 'asc' } }, { provider: { slug: 'asc' } }, { id: 'asc' }],
      }),
  }),
);

const DeleteProviderKeySuccess = builder.objectRef<DeletedKey>('DeleteProviderKeySuccess').implement({
  description: 'The key is gone, and used for nothing any more.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The id that the key had.' }),
    provider: t.prismaField({
      type: Provider,
      description: 'The provider as it is now: disabled, if it needs a key and this was its last one.',
      resolve: (query, { providerId }, _args, { services }) => readProvider(services.prisma, query, providerId),
    }),
  }),
});

builder.mutationField('deleteProviderKey', (t) =>
  t.field({
    type: DeleteProviderKeySuccess,
    authScopes: { admin: true },
    description:
      'Deletes a key of a provider. A provider that needs a key is disabled with its last one; the active one keeps it. To change a key, use `setProviderKey`. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'The key’s id.' }) },
    errors: directOutcome(NotFoundError, ConflictError),
    resolve: (_root, { id }, { services, caller }) => deleteProviderKey(services, caller, id),
  }),
);
