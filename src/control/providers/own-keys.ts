import { NotFoundError, ProviderNotFoundError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { listComplexity } from '../schema/list-complexity.ts';
import { accountOf } from '../schema/owners.ts';
import { readBack } from '../schema/read-back.ts';
import { directOutcome, outcome } from '../schema/result.ts';
import { KeyRestReason, RESTING_UNTIL, restingUntil } from './key-rest.ts';
import { deleteOwnKey, setOwnKey } from './own-key-service.ts';

const MyProviderKey = builder.prismaObject('UserProviderKey', {
  name: 'MyProviderKey',
  description:
    'One’s own key of a provider. It is stored encrypted, and never shown again. Nobody else sees that it is there.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7. A key that replaces this one has another.' }),
    provider: t.string({
      description: 'Slug of the provider.',
      select: { provider: { select: { slug: true } } },
      resolve: ({ provider }) => provider.slug,
    }),
    hint: t.exposeString('hint', { description: 'What may be shown of it: `sk-…a1b2`.' }),
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

const SetMyProviderKey = builder.inputType('SetMyProviderKeyInput', {
  description: 'One’s own key of a provider.',
  fields: (t) => ({
    provider: t.id({ required: true, description: 'The provider’s id or slug.' }),
    key: t.string({ required: true, description: 'The key: up to 4,096 characters without white space.' }),
  }),
});

const DeleteMyProviderKeySuccess = builder.objectRef<{ id: string }>('DeleteMyProviderKeySuccess').implement({
  description: 'The key is gone, and used for nothing any more.',
  fields: (t) => ({ id: t.exposeID('id', { description: 'The id that it had.' }) }),
});

builder.queryField('myProviderKeys', (t) =>
  t.prismaField({
    type: [MyProviderKey],
    authScopes: { user: true },
    description: 'One’s own keys of providers, masked.',
    complexity: listComplexity(({ providers }) => providers.length),
    resolve: (query, _root, _args, { services, caller }) =>
      services.prisma.userProviderKey.findMany({
        ...query,
        where: { userId: accountOf(caller).id },
        orderBy: { id: 'asc' },
      }),
  }),
);

builder.mutationFields((t) => ({
  setMyProviderKey: t.prismaField({
    type: MyProviderKey,
    authScopes: { user: true },
    description:
      'Stores one’s own key of a provider, encrypted, in the place of the one there was. One’s completions with that provider go with it from now on, also those of one’s API keys, and also where the system has no key; a provider that an admin disabled stays disabled. If it fails, the system’s keys of that provider do not stand in for it.',
    args: { input: t.arg({ type: SetMyProviderKey, required: true, description: 'Which provider, and the key.' }) },
    errors: outcome('key', 'What is kept of it.', ValidationError, ProviderNotFoundError),
    resolve: async (query, _root, { input }, { services, caller }) => {
      const id = await setOwnKey(services, caller, input);
      return readBack('key', query, (wanted) =>
        services.prisma.userProviderKey.findUnique({ ...wanted, where: { id } }),
      );
    },
  }),
  deleteMyProviderKey: t.field({
    type: DeleteMyProviderKeySuccess,
    authScopes: { user: true },
    description: 'Deletes one’s own key of a provider; from now on the system’s keys serve one’s completions there.',
    args: { id: t.arg.id({ required: true, description: 'The key’s id.' }) },
    errors: directOutcome(NotFoundError),
    resolve: async (_root, { id }, { services, caller }) => ({ id: await deleteOwnKey(services, caller, id) }),
  }),
}));
