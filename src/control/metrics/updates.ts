import { ForbiddenError } from '../../platform/errors.ts';
import { visibleFilter } from '../completions/completions.ts';
import { builder } from '../schema/builder.ts';
import { visibleOwner } from '../schema/owners.ts';
import { Metrics, MetricsFilterType, MetricsRangeEnum } from './types.ts';

const MetricsUpdatedInput = builder.inputType('MetricsUpdatedInput', {
  description: 'Which numbers to watch.',
  fields: (t) => ({
    range: t.field({ type: MetricsRangeEnum, defaultValue: 'LAST_HOUR', description: 'How far back; it moves on.' }),
    filter: t.field({ type: MetricsFilterType, description: 'Which completions count. Default: all.' }),
  }),
});

builder.subscriptionField('metricsUpdated', (t) =>
  t.field({
    type: Metrics,
    authScopes: { user: true },
    description:
      'Numbers about completions, at once and then whenever they have changed, at most once a second: your own, or everybody’s for admins. A slow reader gets the newest only. All who watch the same numbers share one reading.',
    args: { input: t.arg({ type: MetricsUpdatedInput, description: 'Default: everything in the last hour.' }) },
    subscribe: (_root, { input }, { caller, services, signal }) => {
      const filter = visibleFilter(caller, input?.filter ?? {});
      return services.liveViews.watch(input?.range ?? 'LAST_HOUR', filter, signal);
    },
    visible: ({ filter: { userId = null } }, caller) => {
      if (visibleOwner(caller, userId) === userId) return true;
      throw new ForbiddenError('Only admins may see what is another’s.');
    },
    resolve: (reading) => reading,
  }),
);
