import { invalid } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { isTheirs } from '../schema/owners.ts';
import { requestClauses } from './request-filter.ts';
import { Request, RequestFilter } from './request-log.ts';

const RequestLoggedInput = builder.inputType('RequestLoggedInput', {
  description: 'Which requests to follow, and from where.',
  fields: (t) => ({
    afterSeq: t.field({
      type: 'BigInt',
      description:
        'Begin after the request with this `seq`: with that of the last one you received nothing is missed, with `"0"` all are told. Default: what is logged from now on.',
    }),
    filter: t.field({ type: RequestFilter, description: 'Default: all.' }),
  }),
});

builder.subscriptionField('requestLogged', (t) =>
  t.field({
    type: Request,
    authScopes: { user: true },
    description:
      'Each request within a second of its end, on whichever server, in the order of `seq`: your own, or everybody’s for admins. To miss and repeat nothing, subscribe again with the last `seq` as `afterSeq`. Waits for slow readers; one who falls behind gets everything, later.',
    args: { input: t.arg({ type: RequestLoggedInput, description: 'Default: all from now on.' }) },
    subscribe: (_root, { input }, { caller, services, signal }) => {
      const clauses = requestClauses(caller, input?.filter ?? {});
      const afterSeq = input?.afterSeq ?? null;
      if (afterSeq !== null && afterSeq < 0n) {
        throw invalid('afterSeq', 'must be 0 or more');
      }
      return services.requestTail.follow(clauses, afterSeq, signal);
    },
    visible: ({ userId }, caller) => isTheirs(caller, userId),
    resolve: (request) => request,
  }),
);
