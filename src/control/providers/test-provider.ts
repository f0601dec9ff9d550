import { z } from 'zod';
import { isCallable } from '../../gateway/routing/exact-target.ts';
import { invalid, ProviderNotFoundError, RateLimitedError, ValidationError } from '../../platform/errors.ts';
import { modelName } from '../catalog/catalog.ts';
import { builder } from '../schema/builder.ts';
import type { Context } from '../schema/context.ts';
import { parseInput } from '../schema/parse-input.ts';
import { directOutcome } from '../schema/result.ts';
import { type ProviderTest, takeTest, testFields } from './provider-test.ts';
import { Provider } from './provider-type.ts';
import { defaultModel } from './test-completion.ts';

const testProviderInput = z.object({
  id: z.string(),
  model: modelName.nullish(),
  message: z.string().trim().min(1, 'must not be empty').max(10_000, 'must be at most 10,000 characters').nullish(),
});

const TestProvider = builder.inputType('TestProviderInput', {
  description: 'A test of a provider.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The provider’s id or slug.' }),
    model: t.string({
      description:
        'The model to ask, by the provider’s own name for it; it need not be in the catalog. Default: the provider’s first enabled one.',
    }),
    message: t.string({
      description: 'What to say to it, up to 10,000 characters. Default: a short sentence that asks for a word.',
    }),
  }),
});

const TestProviderSuccess = builder.objectRef<ProviderTest>('TestProviderSuccess').implement({
  description: 'The test was made. How the provider did is in `status`.',
  fields: (t) => ({
    provider: t.prismaField({
      type: Provider,
      nullable: true,
      description: 'The provider, with its health by this test. Null: it was deleted meanwhile.',
      resolve: (query, { providerId }, _args, { services }) =>
        services.prisma.provider.findUnique({ ...query, where: { id: providerId } }),
    }),
    ...testFields(t),
  }),
});

builder.mutationField('testProvider', (t) =>
  t.field({
    type: TestProviderSuccess,
    authScopes: { admin: true },
    description:
      'Asks a provider, enabled or not, for a short completion, and keeps the outcome as its health. The completion is on the ledger with the tag `purpose: provider-test`. 10 a minute for each admin, with those that are made when a provider is created or gets a key. Admins only.',
    args: { input: t.arg({ type: TestProvider, required: true, description: 'Which provider, and how.' }) },
    errors: directOutcome(ValidationError, ProviderNotFoundError, RateLimitedError),
    resolve: (_root, { input }, context) => testProvider(context, input),
  }),
);

/** @throws ValidationError, ProviderNotFoundError, RateLimitedError */
async function testProvider(
  { services, caller, signal }: Context,
  input: z.input<typeof testProviderInput>,
): Promise<ProviderTest> {
  const wanted = parseInput(testProviderInput, input);
  const { providers, providersById, providersBySlug } = services.snapshots.current;
  const provider = providersById.get(wanted.id.toLowerCase()) ?? providersBySlug.get(wanted.id);
  if (!provider) throw new ProviderNotFoundError(wanted.id, providers);
  if (!isCallable(provider))
    throw invalid('id', `The provider "${provider.slug}" has no key yet; set one with setProviderKey.`);
  const model = wanted.model ?? defaultModel(provider);
  if (model === null)
    throw invalid('model', `must be given, because the provider "${provider.slug}" has no enabled model`);
  takeTest(services.rateLimiter, caller);
  const request = { model, message: wanted.message ?? null };
  const outcome = await services.providerHealth.test(caller, provider, request, signal);
  return { ...outcome, providerId: provider.id, keyId: null };
}
