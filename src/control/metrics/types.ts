import { completionFilterFields } from '../completions/completions.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import { average, averageCost } from './average.ts';
import { percentile } from './percentile-field.ts';
import { ProviderMetrics, type ProviderView } from './provider-type.ts';
import type { MetricsReading } from './reading.ts';
import type { Percentiles } from './rollup-query.ts';
import type { MetricsRange } from './span.ts';
import type { Summary } from './summary.ts';

export const MetricsRangeEnum = enumOf<MetricsRange>('MetricsRange', 'A range of time that ends now.', {
  LAST_HOUR: '60 minutes.',
  LAST_24_HOURS: '24 hours.',
  LAST_7_DAYS: '7 days.',
  LAST_30_DAYS: '30 days.',
  LAST_90_DAYS: '90 days.',
});

export const MetricsFilterType = builder.inputType('MetricsFilter', {
  description:
    'Which completions count; all that is given must fit. Where attempts are counted, `status`, `provider`, `model` and `variant` are the attempt’s own.',
  fields: (t) => completionFilterFields(t),
});

/** The percentiles are read when the first of them is asked for. */
interface SummaryView extends Summary {
  percentiles: () => Promise<Percentiles>;
}

const MetricsSummary = builder.objectRef<SummaryView>('MetricsSummary').implement({
  description:
    'Sums and averages over all completions of the span. Usage that was made elsewhere (`trackUsage`) is in them: each event as a completion that succeeded, with one attempt. Costs are as corrected since.',
  fields: (t) => ({
    requests: t.expose('requests', { type: 'BigInt', description: 'Completions and tracked usage events.' }),
    succeeded: t.expose('succeeded', { type: 'BigInt', description: 'Those with a whole answer.' }),
    failed: t.expose('failed', { type: 'BigInt', description: 'Those that ended with an error.' }),
    cancelled: t.expose('cancelled', { type: 'BigInt', description: 'Those whose client left.' }),
    indeterminate: t.expose('indeterminate', {
      type: 'BigInt',
      description: 'Those during which the server died; their numbers are estimates.',
    }),
    attempts: t.expose('attempts', {
      type: 'BigInt',
      description:
        'Upstream calls that were made for them, those that failed over to another provider included, and tracked usage events.',
    }),
    inputTokens: t.expose('inputTokens', { type: 'BigInt', description: 'Of the prompts, cached ones included.' }),
    outputTokens: t.expose('outputTokens', { type: 'BigInt', description: 'Of the answers, reasoning included.' }),
    totalTokens: t.field({
      type: 'BigInt',
      description: 'Input and output together.',
      resolve: ({ inputTokens, outputTokens }) => inputTokens + outputTokens,
    }),
    cachedTokens: t.expose('cachedTokens', { type: 'BigInt', description: 'Input tokens read from caches.' }),
    reasoningTokens: t.expose('reasoningTokens', {
      type: 'BigInt',
      description: 'Output tokens spent on reasoning.',
    }),
    cost: t.expose('cost', { type: 'USD', description: 'What they cost, exactly; without the unpriced ones.' }),
    averageCost: t.field({
      type: 'USD',
      nullable: true,
      description: 'Cost of one, over those that have a price, rounded to 12 decimals. Null: there are none.',
      resolve: ({ cost, requests, unpricedRequests }) => averageCost(cost, requests - unpricedRequests),
    }),
    unpricedRequests: t.expose('unpricedRequests', {
      type: 'BigInt',
      description: 'Those that used tokens whose price is unknown.',
    }),
    averageLatencyMs: t.float({
      nullable: true,
      description: 'From admission to end, in milliseconds, over those whose duration is known. Null: there are none.',
      resolve: ({ latencyMs, timedRequests }) => average(latencyMs, timedRequests),
    }),
    latencyP50Ms: t.float(percentile('p50', 'Half')),
    latencyP75Ms: t.float(percentile('p75', '75%')),
    latencyP95Ms: t.float(percentile('p95', '95%')),
    latencyP99Ms: t.float(percentile('p99', '99%')),
    averageTimeToFirstTokenMs: t.float({
      nullable: true,
      description: 'From admission to the first token, in milliseconds, over the streamed ones. Null: there are none.',
      resolve: ({ timeToFirstTokenMs, timedFirstTokens }) => average(timeToFirstTokenMs, timedFirstTokens),
    }),
    errorRate: t.float({
      nullable: true,
      description: 'The share that failed, 0 to 1. Null: there are none.',
      resolve: ({ failed, requests }) => average(failed, requests),
    }),
    uniqueUsers: t.exposeInt('uniqueUsers', { description: 'Users who made them.' }),
  }),
});

export const Metrics = builder.objectRef<MetricsReading>('Metrics').implement({
  description:
    'Numbers about the completions that started in a span of time, and the usage elsewhere that was in it, from roll-ups that equal the ledger.',
  fields: (t) => ({
    from: t.field({
      type: 'DateTime',
      description: 'Where the span really begins: on a whole minute up to 24 hours, else on a whole hour.',
      resolve: ({ span }) => span.from,
    }),
    to: t.field({
      type: 'DateTime',
      description: 'Where the span really ends; the time itself is not in it.',
      resolve: ({ span }) => span.to,
    }),
    summary: t.field({
      type: MetricsSummary,
      description: 'Sums and averages over all of them.',
      resolve: async ({ summary, percentiles }) => ({ ...(await summary()), percentiles }),
    }),
    providers: t.field({
      type: [ProviderMetrics],
      description:
        'The attempts of these completions by provider, the one with most attempts first, those that failed over to another provider included, and usage of it that was made elsewhere. A thousand at most.',
      resolve: (reading) => providerViews(reading),
    }),
  }),
});

async function providerViews({ providers, providerPercentiles }: MetricsReading): Promise<ProviderView[]> {
  const all = await providers();
  const total = all.reduce((sum, { attempts }) => sum + attempts, 0n);
  return all.map((sums) => ({
    ...sums,
    share: Number(sums.attempts) / Number(total),
    percentiles: async () => (await providerPercentiles()).get(sums.provider),
  }));
}
