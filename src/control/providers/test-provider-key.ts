import { invalid, NotFoundError, RateLimitedError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import type { Context } from '../schema/context.ts';
import { directOutcome } from '../schema/result.ts';
import { ProviderKey } from './provider-keys.ts';
import { type ProviderTest, takeTest, testFields } from './provider-test.ts';
import { defaultModel } from './test-completion.ts';

const TestProviderKeySuccess = builder.objectRef<ProviderTest>('TestProviderKeySuccess').implement({
  description: 'The test was made. How the provider did with this key is in `status`.',
  fields: (t) => ({
    key: t.prismaField({
      type: ProviderKey,
      nullable: true,
      description: 'The key, which rests now if it was at fault. Null: it was deleted meanwhile.',
      resolve: (query, { keyId }, _args, { services }) =>
        keyId === null ? null : services.prisma.providerKey.findUnique({ ...query, where: { id: keyId } }),
    }),
    ...testFields(t),
  }),
});

builder.mutationField('testProviderKey', (t) =>
  t.field({
    type: TestProviderKeySuccess,
    authScopes: { admin: true },
    description:
      'Asks a provider, enabled or not, for a short completion with this key. A key that is at fault rests on this server; one that is answered is used again. The health of the provider stays what it was. Counts with `testProvider`: 10 a minute for each admin. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'The key’s id.' }) },
    errors: directOutcome(ValidationError, NotFoundError, RateLimitedError),
    resolve: (_root, { id }, context) => testProviderKey(context, id.toLowerCase()),
  }),
);

/** @throws ValidationError, NotFoundError, RateLimitedError */
async function testProviderKey({ services, caller, signal }: Context, keyId: string): Promise<ProviderTest> {
  const provider = services.snapshots.current.providers.find(({ keys }) => keys.some(({ id }) => id === keyId));
  if (!provider)
    throw new NotFoundError(
      'There is no provider key with this id that can be used; providerKeys lists those there are.',
    );
  const model = defaultModel(provider);
  if (model === null) throw invalid('id', `The provider "${provider.slug}" has no enabled model to test it with.`);
  if (provider.baseUrl === '') throw invalid('id', `The provider "${provider.slug}" has no address yet.`);
  takeTest(services.rateLimiter, caller);
  const outcome = await services.providerHealth.test(caller, provider, { model, message: null, keyId }, signal);
  return { ...outcome, providerId: provider.id, keyId };
}
