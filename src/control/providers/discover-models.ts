import { isCallable } from '../../gateway/routing/exact-target.ts';
import { PROVIDER_KINDS } from '../../gateway/upstream/kinds.ts';
import {
  invalid,
  OverloadedError,
  ProviderNotFoundError,
  RateLimitedError,
  UpstreamError,
  UpstreamTimeoutError,
  ValidationError,
} from '../../platform/errors.ts';
import { type Discovered, writeDiscovered } from '../catalog/catalog.ts';
import { builder } from '../schema/builder.ts';
import { changeConfiguration } from '../schema/change-configuration.ts';
import type { Context } from '../schema/context.ts';
import { directOutcome } from '../schema/result.ts';
import { findProvider } from './checks.ts';
import { readProvider } from './lookup.ts';
import { takeTest } from './provider-test.ts';
import { Provider } from './provider-type.ts';

/** Long lists come in pages; each of them may take this long. */
const PAGE_TIMEOUT_MS = 30_000;

const DiscoverModelsSuccess = builder
  .objectRef<Discovered & { providerId: string }>('DiscoverModelsSuccess')
  .implement({
    description: 'The provider’s own list of models is in the catalog.',
    fields: (t) => ({
      provider: t.prismaField({
        type: Provider,
        description: 'The provider, with its models as they are now.',
        resolve: (query, { providerId }, _args, { services }) => readProvider(services.prisma, query, providerId),
      }),
      listed: t.exposeInt('listed', { description: 'Models in the list, 10,000 at most.' }),
      added: t.exposeInt('added', { description: 'Models that are new in the catalog.' }),
      updated: t.exposeInt('updated', {
        description: 'Models that were discovered earlier, and have other limits now or are back.',
      }),
      missing: t.exposeInt('missing', {
        description: 'Models that were discovered earlier, and are not in the list any more. They stay in the catalog.',
      }),
    }),
  });

builder.mutationField('discoverModels', (t) =>
  t.field({
    type: DiscoverModelsSuccess,
    authScopes: { admin: true },
    description:
      'Reads the provider’s own list of models into the catalog. New ones are enabled, come behind the others, and are marked by `discoveredAt`; what was seeded or created by an admin stays as it is. Counts as one of the 10 tests of a minute. Admins only.',
    args: { provider: t.arg.id({ required: true, description: 'The provider’s id or slug.' }) },
    errors: directOutcome(
      ValidationError,
      ProviderNotFoundError,
      RateLimitedError,
      UpstreamError,
      UpstreamTimeoutError,
      OverloadedError,
    ),
    resolve: (_root, { provider }, context) => discoverModels(context, provider),
  }),
);

/** @throws ValidationError, ProviderNotFoundError, RateLimitedError, UpstreamError, UpstreamTimeoutError */
async function discoverModels(
  { services, caller, signal }: Context,
  idOrSlug: string,
): Promise<Discovered & { providerId: string }> {
  const { providers, providersById, providersBySlug } = services.snapshots.current;
  const provider = providersById.get(idOrSlug.toLowerCase()) ?? providersBySlug.get(idOrSlug);
  if (!provider) throw new ProviderNotFoundError(idOrSlug, providers);
  if (!isCallable(provider))
    throw invalid('provider', `The provider "${provider.slug}" has no key yet; set one with setProviderKey.`);
  if (PROVIDER_KINDS[provider.kind].modelsPath === null)
    throw invalid('provider', `Providers of the kind ${provider.kind} have no list of models.`);
  takeTest(services.rateLimiter, caller);
  const request = { timeoutMs: PAGE_TIMEOUT_MS, isCheck: false, signal };
  const { models, failure } = await services.gateway.modelLists.read(provider, request);
  if (failure) throw failure.error;
  return changeConfiguration(services, caller, async (tx, record) => {
    const { id, slug } = await findProvider(tx, services, provider.id);
    const discovered = await writeDiscovered(tx, id, models);
    record({ action: 'UPDATED', subject: 'PROVIDER', id, name: slug });
    return { ...discovered, providerId: id };
  });
}
