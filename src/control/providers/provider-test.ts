import type { Caller } from '../../gateway/admission/caller.ts';
import type { RateLimiter } from '../../gateway/admission/rate-limit.ts';
import { RateLimitedError } from '../../platform/errors.ts';
import type { builder } from '../schema/builder.ts';
import { accountOf } from '../schema/owners.ts';
import { ProviderStatusEnum } from './health-type.ts';
import type { TestOutcome } from './test-completion.ts';

/** A test of a provider, with the one key that it was about if it was. */
export type ProviderTest = TestOutcome & { providerId: string; keyId: string | null };

type Fields = PothosSchemaTypes.ObjectFieldBuilder<typeof builder.$inferSchemaTypes, ProviderTest>;

/** What every test tells. */
export const testFields = (t: Fields) => ({
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
});

/** @throws RateLimitedError when an admin has made all the tests of a minute. */
export function takeTest(rateLimiter: RateLimiter, caller: Caller): void {
  const { allowed, limit, retryAfterSeconds } = rateLimiter.takeProviderTest(accountOf(caller).id);
  if (allowed) return;
  throw new RateLimitedError(
    `${limit} tests of providers a minute are the limit. Try again in ${retryAfterSeconds} seconds.`,
    retryAfterSeconds,
  );
}
