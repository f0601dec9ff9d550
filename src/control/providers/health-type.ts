import type { ProviderStatus } from '../../generated/prisma/client.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';

export const ProviderStatusEnum = enumOf<ProviderStatus>(
  'ProviderStatus',
  'Whether a provider answers, by its last test or by the traffic since.',
  {
    ONLINE: 'It answers with completions.',
    DEGRADED:
      'It answers, but not as it should. In a test: it limits its requests (429), does not know the model or the address (404), or refused the request. In traffic: of at least 3 calls, 20% and at least 2 failed or were limited.',
    OFFLINE:
      'No completion can be had: it is not reached, takes too long, breaks off, fails (5xx), refuses the key, asks for payment, or answers with something else. In traffic: 80% of at least 3 calls failed like that.',
  },
);

builder.prismaObject('ProviderHealth', {
  description:
    'Whether a provider answers: by its last test, and by what the last 20 calls of the last 5 minutes show, without those that the provider refused for their content. It informs people; completions are sent whatever it says.',
  fields: (t) => ({
    status: t.expose('status', { type: ProviderStatusEnum, description: 'Whether it answers.' }),
    checkedAt: t.expose('checkedAt', {
      type: 'DateTime',
      description: 'When it was tested last, or traffic changed the status.',
    }),
    since: t.expose('since', { type: 'DateTime', description: 'When the status became what it is.' }),
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
