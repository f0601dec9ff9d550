import { isAdmin } from '../../gateway/admission/caller.ts';
import { builder } from '../schema/builder.ts';
import type { Context } from '../schema/context.ts';
import type { HealthEvent } from './health-store.ts';
import { ProviderStatusEnum } from './health-type.ts';
import { Provider } from './provider-type.ts';

const ProviderHealthChanged = builder.objectRef<HealthEvent>('ProviderHealthChanged').implement({
  description: 'The status of a provider has changed.',
  fields: (t) => ({
    providerId: t.exposeID('providerId', { description: 'The provider’s id.' }),
    provider: t.prismaField({
      type: Provider,
      nullable: true,
      description: 'The provider as it is now, read for each event: ask for it only if you need it. Null: it is gone.',
      resolve: (query, { providerId }, _args, { services }) =>
        services.prisma.provider.findUnique({ ...query, where: { id: providerId } }),
    }),
    status: t.expose('status', { type: ProviderStatusEnum, description: 'The new status.' }),
    previousStatus: t.expose('previousStatus', {
      type: ProviderStatusEnum,
      nullable: true,
      description: 'The one before; null: nothing was known.',
    }),
    checkedAt: t.field({
      type: 'DateTime',
      description: 'When it was tested or observed.',
      resolve: ({ checkedAt }) => new Date(checkedAt),
    }),
    latencyMs: t.exposeInt('latencyMs', {
      nullable: true,
      description: 'How long the call took that showed it, in milliseconds.',
    }),
    upstreamStatus: t.exposeInt('upstreamStatus', {
      nullable: true,
      description: 'HTTP status of the answer to that call; null: there was none.',
    }),
    detail: t.exposeString('detail', {
      nullable: true,
      description: 'What went wrong, in a sentence; null: nothing.',
    }),
  }),
});

builder.subscriptionField('providerHealthChanged', (t) =>
  t.field({
    type: ProviderHealthChanged,
    authScopes: { admin: true },
    description:
      'Each change of a provider’s status from now on, on whichever server it was noticed, in the same order everywhere. Ends with OVERLOADED for a reader who falls behind. Admins only.',
    subscribe: (_root, _args, context) => healthChanges(context),
    visible: (_event, caller) => isAdmin(caller),
    resolve: (event) => event,
  }),
);

async function* healthChanges({ services, signal }: Context): AsyncGenerator<HealthEvent> {
  for await (const { payload } of services.feed.subscribe('PROVIDER_HEALTH', { overflow: 'END' }, signal))
    yield payload as HealthEvent;
}
