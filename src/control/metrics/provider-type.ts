import { builder } from '../schema/builder.ts';
import { average } from './average.ts';
import type { ProviderSums } from './by-provider.ts';
import { percentile } from './percentile-field.ts';
import type { Percentiles } from './rollup-query.ts';

/** One provider's numbers; those of all providers' percentiles are read when the first of them is asked for. */
export interface ProviderView extends ProviderSums {
  provider: string;
  share: number;
  percentiles: () => Promise<Percentiles | undefined>;
}

export const ProviderMetrics = builder.objectRef<ProviderView>('ProviderMetrics').implement({
  description:
    'Sums and averages over the attempts that went to one provider; each tracked usage event is one that succeeded.',
  fields: (t) => ({
    provider: t.exposeString('provider', {
      description:
        'Slug of the provider, as it was then; of tracked usage, the name that was reported if no provider has it.',
    }),
    attempts: t.expose('attempts', { type: 'BigInt', description: 'Upstream calls.' }),
    succeeded: t.expose('succeeded', { type: 'BigInt', description: 'Those with a whole answer.' }),
    failed: t.expose('failed', { type: 'BigInt', description: 'Those that ended with an error.' }),
    cancelled: t.expose('cancelled', { type: 'BigInt', description: 'Those whose client left.' }),
    indeterminate: t.expose('indeterminate', {
      type: 'BigInt',
      description: 'Those during which the server died; their numbers are estimates.',
    }),
    share: t.exposeFloat('share', { description: 'Its share of all providers’ attempts in this list, 0 to 1.' }),
    inputTokens: t.expose('inputTokens', { type: 'BigInt', description: 'Of the prompts, cached ones included.' }),
    outputTokens: t.expose('outputTokens', { type: 'BigInt', description: 'Of the answers, reasoning included.' }),
    cachedTokens: t.expose('cachedTokens', { type: 'BigInt', description: 'Input tokens read from caches.' }),
    cost: t.expose('cost', { type: 'USD', description: 'What they cost, exactly; without the unpriced ones.' }),
    unpricedAttempts: t.expose('unpricedAttempts', {
      type: 'BigInt',
      description: 'Those that used tokens whose price is unknown.',
    }),
    errorRate: t.float({
      nullable: true,
      description: 'The share that failed, 0 to 1. Null: there are none.',
      resolve: ({ failed, attempts }) => average(failed, attempts),
    }),
    averageLatencyMs: t.float({
      nullable: true,
      description: 'From dispatch to end, in milliseconds, over those whose duration is known. Null: there are none.',
      resolve: ({ latencyMs, timedAttempts }) => average(latencyMs, timedAttempts),
    }),
    latencyP50Ms: t.float(percentile('p50', 'Half')),
    latencyP95Ms: t.float(percentile('p95', '95%')),
    latencyP99Ms: t.float(percentile('p99', '99%')),
    averageTimeToFirstTokenMs: t.float({
      nullable: true,
      description:
        'From the completion’s admission to the first token, in milliseconds, over the streamed ones. Null: none.',
      resolve: ({ timeToFirstTokenMs, timedFirstTokens }) => average(timeToFirstTokenMs, timedFirstTokens),
    }),
  }),
});
