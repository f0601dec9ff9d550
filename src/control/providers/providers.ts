import './discover-models.ts';
import './health-changes.ts';
import './kinds.ts';
import './own-keys.ts';
import './provider-keys.ts';
import './test-provider.ts';
import './test-provider-key.ts';
import { ConflictError, ProviderNotFoundError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { directOutcome, outcome } from '../schema/result.ts';
import { type Activation, activateProvider } from './activate.ts';
import { type DeletedProvider, deleteProvider } from './delete.ts';
import { CreateProvider, SetProviderKey, UpdateProvider } from './input-types.ts';
import { readProvider } from './lookup.ts';
import { Provider } from './provider-type.ts';
import { createProvider, updateProvider } from './service.ts';
import { setProviderKey } from './set-key.ts';

export { mayServe } from './checks.ts';
export { HealthMonitor } from './health-monitor.ts';
export { providerKey } from './input.ts';
export { storeKey } from './keys.ts';
export { Provider } from './provider-type.ts';

const ActivateProviderSuccess = builder.objectRef<Activation>('ActivateProviderSuccess').implement({
  description: 'The provider is the active one.',
  fields: (t) => ({
    active: t.prismaField({
      type: Provider,
      description: 'The provider that is active now.',
      resolve: (query, { activeId }, _args, { services }) => readProvider(services.prisma, query, activeId),
    }),
    previous: t.prismaField({
      type: Provider,
      nullable: true,
      description: 'The one that was active before; null when there was none.',
      resolve: (query, { previousId }, _args, { services }) =>
        previousId === null ? null : services.prisma.provider.findUnique({ ...query, where: { id: previousId } }),
    }),
    switchedAt: t.expose('switchedAt', { type: 'DateTime', description: 'When it was done.' }),
    message: t.exposeString('message', { description: 'What was done, in a sentence.' }),
  }),
});

const DeleteProviderSuccess = builder.objectRef<DeletedProvider>('DeleteProviderSuccess').implement({
  description: 'The provider is gone, with its keys and models.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The id that it had.' }),
    slug: t.exposeString('slug', { description: 'The slug that it had, which is free now.' }),
  }),
});

builder.mutationFields((t) => ({
  createProvider: t.prismaField({
    type: Provider,
    authScopes: { admin: true },
    description: 'Adds a provider with its models and its key. Admins only.',
    args: { input: t.arg({ type: CreateProvider, required: true, description: 'What it shall be.' }) },
    errors: outcome('provider', 'The new provider.', ValidationError, ConflictError),
    resolve: async (query, _root, { input }, { services, caller }) => {
      const id = await createProvider(services, caller, input);
      services.providerHealth.testSoon(caller, id);
      return readProvider(services.prisma, query, id);
    },
  }),
  updateProvider: t.prismaField({
    type: Provider,
    authScopes: { admin: true },
    description: 'Changes a provider, and adds or updates the models that are named. Admins only.',
    args: { input: t.arg({ type: UpdateProvider, required: true, description: 'Which one, and what changes.' }) },
    errors: outcome('provider', 'The provider as it is now.', ValidationError, ProviderNotFoundError, ConflictError),
    resolve: async (query, _root, { input }, { services, caller }) => {
      const id = await updateProvider(services, caller, input);
      return readProvider(services.prisma, query, id);
    },
  }),
  setProviderKey: t.prismaField({
    type: Provider,
    authScopes: { admin: true },
    description:
      'Stores a key of a provider, encrypted, in the place of the one it had; under another `name` it is one more, and they share the calls by weight. Its first key enables it. Admins only.',
    args: { input: t.arg({ type: SetProviderKey, required: true, description: 'Which provider, and the key.' }) },
    errors: outcome('provider', 'The provider as it is now.', ValidationError, ProviderNotFoundError, ConflictError),
    resolve: async (query, _root, { input }, { services, caller }) => {
      const id = await setProviderKey(services, caller, input);
      if (input.key != null) services.providerHealth.testSoon(caller, id);
      return readProvider(services.prisma, query, id);
    },
  }),
  deleteProvider: t.field({
    type: DeleteProviderSuccess,
    authScopes: { admin: true },
    description:
      'Deletes a provider with its keys and models; its requests stay on the ledger. Not the active one, and not while routes have targets on it or fall back on it. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'Its id or its slug.' }) },
    errors: directOutcome(ProviderNotFoundError, ConflictError),
    resolve: (_root, { id }, { services, caller }) => deleteProvider(services, caller, id),
  }),
  activateProvider: t.field({
    type: ActivateProviderSuccess,
    authScopes: { admin: true },
    description:
      'Makes a provider the active one: the route `default` sends to it, and loses the targets it had. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'Its id or its slug.' }) },
    errors: directOutcome(ValidationError, ProviderNotFoundError),
    resolve: (_root, { id }, { services, caller }) => activateProvider(services, caller, id),
  }),
}));
