import { ValidationError } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import { picodollars } from '../../platform/money.ts';
import { RequestStatusEnum } from '../completions/completions.ts';
import { builder } from '../schema/builder.ts';
import { visibleOwner } from '../schema/visible-owner.ts';
import { type MetricsRange, type Span, spanOf } from './span.ts';
import { type MetricsFilter, type Percentiles, readPercentiles, readSummary, type Summary } from './summary.ts';

/** What was asked for; nothing is read before a field wants it. */
interface MetricsQuery {
  span: Span;
  filter: MetricsFilter;
}

interface SummaryView extends Summary {
  /** Read once, when the first percentile is asked for. */
  percentiles: () => Promise<Percentiles>;
}

const MetricsRangeEnum = builder.enumType('MetricsRange', {
  description: 'A range of time that ends now.',
  values: {
    LAST_HOUR: { value: 'LAST_HOUR', description: '60 minutes.' },
    LAST_24_HOURS: { value: 'LAST_24_HOURS', description: '24 hours.' },
    LAST_7_DAYS: { value: 'LAST_7_DAYS', description: '7 days.' },
    LAST_30_DAYS: { value: 'LAST_30_DAYS', description: '30 days.' },
    LAST_90_DAYS: { value: 'LAST_90_DAYS', description: '90 days.' },
  } satisfies Record<MetricsRange, { value: MetricsRange; description: string }>,
});

const Filter = builder.inputType('MetricsFilter', {
  description: 'Which completions count; all that is given must fit.',
  fields: (t) => ({
    status: t.field({ type: RequestStatusEnum, description: 'How they ended.' }),
    provider: t.string({ description: 'Slug of the provider of their last attempt.' }),
    model: t.string({ description: 'The model that answered.' }),
    route: t.string({ description: 'Slug of the route.' }),
    userId: t.id({ description: 'Whose they are. Others than one’s own: admins only.' }),
    apiKeyId: t.id({ description: 'The API key they came with.' }),
  }),
});

const MetricsSummary = builder.objectRef<SummaryView>('MetricsSummary').implement({
  description: 'Sums and averages over all completions of the span.',
  fields: (t) => ({
    requests: t.expose('requests', { type: 'BigInt', description: 'Completions.' }),
    succeeded: t.expose('succeeded', { type: 'BigInt', description: 'Those with a whole answer.' }),
    failed: t.expose('failed', { type: 'BigInt', description: 'Those that ended with an error.' }),
    cancelled: t.expose('cancelled', { type: 'BigInt', description: 'Those whose client left.' }),
    indeterminate: t.expose('indeterminate', {
      type: 'BigInt',
      description: 'Those during which the server died; their numbers are estimates.',
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
      resolve: ({ cost, requests, unpricedRequests }) => divide(cost, requests - unpricedRequests),
    }),
    unpricedRequests: t.expose('unpricedRequests', {
      type: 'BigInt',
      description: 'Those that used tokens whose price is unknown.',
    }),
    averageLatencyMs: t.float({
      nullable: true,
      description: 'From admission to end, in milliseconds. Null: there are none.',
      resolve: ({ latencyMs, requests }) => average(latencyMs, requests),
    }),
    latencyP50Ms: t.float({
      nullable: true,
      description: 'Half of them took at most this long, in milliseconds, within 5%.',
      resolve: async ({ percentiles }) => (await percentiles()).p50,
    }),
    latencyP75Ms: t.float({
      nullable: true,
      description: '75% of them took at most this long, in milliseconds, within 5%.',
      resolve: async ({ percentiles }) => (await percentiles()).p75,
    }),
    latencyP95Ms: t.float({
      nullable: true,
      description: '95% of them took at most this long, in milliseconds, within 5%.',
      resolve: async ({ percentiles }) => (await percentiles()).p95,
    }),
    latencyP99Ms: t.float({
      nullable: true,
      description: '99% of them took at most this long, in milliseconds, within 5%.',
      resolve: async ({ percentiles }) => (await percentiles()).p99,
    }),
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
    uniqueUsers: t.exposeInt('uniqueUsers', { description: 'Users that made them.' }),
  }),
});

const Metrics = builder.objectRef<MetricsQuery>('Metrics').implement({
  description: 'Numbers about the completions that started in a span of time, from roll-ups that equal the ledger.',
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
      resolve: async ({ span, filter }, _args, { services: { pool } }) => {
        let percentiles: Promise<Percentiles> | null = null;
        return {
          ...(await readSummary(pool, span, filter)),
          percentiles: () => {
            percentiles ??= readPercentiles(pool, span, filter);
            return percentiles;
          },
        };
      },
    }),
  }),
});

builder.queryField('metrics', (t) =>
  t.field({
    type: Metrics,
    authScopes: { user: true },
    description:
      'Numbers about completions within a second of their end: your own, or everybody’s for admins. Named ranges end now.',
    args: {
      range: t.arg({
        type: MetricsRangeEnum,
        defaultValue: 'LAST_24_HOURS',
        description: 'How far back. Not used when `from` is given.',
      }),
      from: t.arg({ type: 'DateTime', description: 'From this time, up to 1,100 days before `to`.' }),
      to: t.arg({ type: 'DateTime', description: 'To this time. Default: now.' }),
      filter: t.arg({ type: Filter, description: 'Which completions count. Default: all.' }),
    },
    resolve: (_root, { range, from, to, filter }, { caller }) => {
      for (const name of ['userId', 'apiKeyId'] as const) {
        if (filter?.[name] && !isUuid(filter[name]))
          throw new ValidationError([{ path: `filter.${name}`, message: 'is not an id' }]);
      }
      const userId = visibleOwner(caller, filter?.userId ?? null);
      return {
        span: spanOf({ range: range ?? 'LAST_24_HOURS', from, to }, new Date()),
        filter: { ...filter, userId },
      };
    },
  }),
);

function average(sum: bigint, count: bigint): number | null {
  return count === 0n ? null : Number(sum) / Number(count);
}

/** Rounded half up. */
function divide(sum: bigint, count: bigint): bigint | null {
  return count === 0n ? null : picodollars((sum * 2n + count) / (count * 2n));
}
