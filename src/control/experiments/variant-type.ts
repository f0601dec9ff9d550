import { average, averageCost } from '../metrics/metrics.ts';
import { builder } from '../schema/builder.ts';
import { errorsOf, type MeasuredVariant } from './compare.ts';
import type { Sample } from './statistics/means.ts';
import { wilson } from './statistics/proportions.ts';
import { variantFields } from './variant-fields.ts';

export const VariantMetrics = builder.objectRef<MeasuredVariant>('VariantMetrics').implement({
  description:
    'What a target of a route did in a span: all upstream calls that went to it, also those that stood in for another one, and those that another one stood in for.',
  fields: (t) => ({
    ...variantFields(t),
    requests: t.field({
      type: 'BigInt',
      description: 'Upstream calls that went to it.',
      resolve: ({ sums }) => sums.requests,
    }),
    succeeded: t.field({
      type: 'BigInt',
      description: 'Those with a whole answer.',
      resolve: ({ sums }) => sums.succeeded,
    }),
    failed: t.field({
      type: 'BigInt',
      description: 'Those that ended with an error, also where another target then answered.',
      resolve: ({ sums }) => sums.failed,
    }),
    cancelled: t.field({
      type: 'BigInt',
      description: 'Those whose client left; they are neither answers nor failures.',
      resolve: ({ sums }) => sums.cancelled,
    }),
    indeterminate: t.field({
      type: 'BigInt',
      description: 'Those during which the server died; they are neither answers nor failures.',
      resolve: ({ sums }) => sums.indeterminate,
    }),
    errorRate: t.float({
      nullable: true,
      description: 'The share that failed among those that succeeded or failed, 0 to 1. Null: there are none.',
      resolve: ({ sums }) => average(sums.failed, sums.failed + sums.succeeded),
    }),
    errorRateLow: t.float({
      nullable: true,
      description: 'The lower end of its 95% confidence interval (Wilson).',
      resolve: ({ sums }) => wilson(errorsOf(sums))?.low,
    }),
    errorRateHigh: t.float({
      nullable: true,
      description: 'The upper end of its 95% confidence interval.',
      resolve: ({ sums }) => wilson(errorsOf(sums))?.high,
    }),
    sampled: t.int({
      description: 'The newest calls, up to 100,000, that the times below are of.',
      resolve: ({ sample }) => sample.sampled,
    }),
    averageLatencyMs: t.float({
      nullable: true,
      description: 'From the call to the end of its answer, in milliseconds, over the answers in the sample.',
      resolve: ({ sample }) => meanOf(sample.latencyMs),
    }),
    latencyP50Ms: t.float(percentile('latencyMs', 'p50', 'Half of the answers took')),
    latencyP95Ms: t.float(percentile('latencyMs', 'p95', '95% of the answers took')),
    latencyP99Ms: t.float(percentile('latencyMs', 'p99', '99% of the answers took')),
    averageTimeToFirstTokenMs: t.float({
      nullable: true,
      description: 'From the call to the first token, in milliseconds, over the streamed answers in the sample.',
      resolve: ({ sample }) => meanOf(sample.timeToFirstTokenMs),
    }),
    timeToFirstTokenP50Ms: t.float(percentile('timeToFirstTokenMs', 'p50', 'Half of those began after')),
    timeToFirstTokenP95Ms: t.float(percentile('timeToFirstTokenMs', 'p95', '95% of those began after')),
    cost: t.field({
      type: 'USD',
      description: 'What the calls cost, exactly; without the unpriced ones.',
      resolve: ({ sums }) => sums.cost,
    }),
    averageCost: t.field({
      type: 'USD',
      nullable: true,
      description: 'Cost of one call, over those that have a price, rounded to 12 decimals. Null: there are none.',
      resolve: ({ sums }) => averageCost(sums.cost, sums.requests - sums.unpricedRequests),
    }),
    unpricedRequests: t.field({
      type: 'BigInt',
      description: 'Calls that used tokens whose price is unknown; no cost counts them as free.',
      resolve: ({ sums }) => sums.unpricedRequests,
    }),
    averageInputTokens: t.float({
      nullable: true,
      description: 'Of an answer’s prompt, cached tokens included. Null: there are no answers.',
      resolve: ({ sums }) => average(sums.inputTokens, sums.succeeded),
    }),
    averageOutputTokens: t.float({
      nullable: true,
      description: 'Of an answer, reasoning included. Null: there are no answers.',
      resolve: ({ sums }) => average(sums.outputTokens, sums.succeeded),
    }),
    wins: t.int({
      description: 'How often its answer was judged the better one, of the newest 100,000 judgements of the route.',
      resolve: ({ judged }) => judged.wins,
    }),
    losses: t.int({
      description: 'How often its answer was judged the worse one.',
      resolve: ({ judged }) => judged.losses,
    }),
    ties: t.int({
      description: 'How often its answer was judged to be as good as the other one.',
      resolve: ({ judged }) => judged.ties,
    }),
  }),
});

function meanOf({ count, mean }: Sample): number | null {
  return count === 0 ? null : mean;
}

/** The options of a field for a percentile of a time. */
function percentile(time: 'latencyMs' | 'timeToFirstTokenMs', name: 'p50' | 'p95' | 'p99', begin: string) {
  return {
    nullable: true,
    description: `${begin} at most this long, in milliseconds, exactly. Null: there are none.`,
    resolve: ({ sample }: MeasuredVariant) => sample[time][name],
  } as const;
}
