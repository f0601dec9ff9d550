import { z } from 'zod';
import { isCallable } from '../../gateway/routing/exact-target.ts';
import { invalid, ProviderNotFoundError, RateLimitedError, ValidationError } from '../../platform/errors.ts';
import { modelName } from '../catalog/catalog.ts';
import { builder } from '../schema/builder.ts';
import type { Context } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { directOutcome } from '../schema/result.ts';
import { ProviderStatusEnum } from './health-type.ts';
import { Provider } from './provider-type.ts';
import { defaultModel, type TestOutcome } from './test-completion.ts';

type ProviderTest = TestOutcome & { providerId: string };

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
    status: t.expose('status', { type: ProviderStatusEnum, description: 'How the provider did.' }),
    httpStatus: t.exposeInt('upstreamStatus', {
      nullable: true,
      description: 'HTTP status of its answer; null: there was none.',
    }),
    latencyMs: t.exposeInt('latencyMs', {
      nullable: true,
      description: 'How long the call took, in milliseconds.',
    }),
    responseText: t.exposeString('responseText', {
      nullable: true,
      description: 'The first 1,000 characters of what the model said; null: it said nothing.',
    }),
    detail: t.exposeString('detail', {
      nullable: true,
      description: 'What went wrong, in a sentence; null: nothing.',
    }),
    model: t.exposeString('model', { description: 'The model that was asked.' }),
    requestId: t.exposeID('requestId', { description: 'Finds the completion: `request(id)` tells its cost.' }),
    testedAt: t.expose('at', { type: 'DateTime', description: 'When the test ended.' }),
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
  const { allowed, limit, retryAfterSeconds } = services.rateLimiter.takeProviderTest(accountOf(caller).id);
  if (!allowed)
    throw new RateLimitedError(
      `${limit} tests of providers a minute are the limit. Try again in ${retryAfterSeconds} seconds.`,
      retryAfterSeconds,
    );
  const request = { model, message: wanted.message ?? null };
  const outcome = await services.providerHealth.test(caller, provider, request, signal);
  return { ...outcome, providerId: provider.id };
}
