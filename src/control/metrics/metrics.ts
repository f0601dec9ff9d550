import { ConcurrencyLimit } from '../../platform/concurrency-limit.ts';
import { visibleFilter } from '../completions/completions.ts';
import { builder } from '../schema/builder.ts';
import { readMetrics } from './reading.ts';
import { spanOf } from './span.ts';
import { Metrics, MetricsFilterType, MetricsRangeEnum } from './types.ts';
import './updates.ts';

export { average, averageCost } from './average.ts';
export { LiveViews } from './live-views.ts';
export type { Query } from './rollup-query.ts';
export { type MetricsRange, type Span, spanOf } from './span.ts';
export { MetricsRangeEnum } from './types.ts';

/** Of all who ask: whoever asks for much waits by themselves, and leaves connections to completions and changes. */
const statements = new ConcurrencyLimit(2);

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
      filter: t.arg({ type: MetricsFilterType, description: 'Which completions count. Default: all.' }),
    },
    resolve: (_root, { range, from, to, filter }, { caller, services: { pool } }) =>
      readMetrics(
        (sql, values) => statements.run(() => pool.query(sql, values)),
        spanOf({ range: range ?? 'LAST_24_HOURS', from, to }, new Date()),
        visibleFilter(caller, filter ?? {}),
      ),
  }),
);
