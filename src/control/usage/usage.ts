import {
  AuthenticationError,
  ConflictError,
  ForbiddenError,
  NotFoundError,
  RateLimitedError,
  ValidationError,
} from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { countRequest } from '../schema/count-request.ts';
import { outcome } from '../schema/result.ts';
import './events.ts';
import { RepriceUsage, TrackUsage } from './input-types.ts';
import { repriceUsage } from './reprice.ts';
import { RepricingType } from './repricing-type.ts';
import { trackUsage } from './track.ts';
import { TrackedUsage } from './tracked-type.ts';
import './unpriced.ts';

builder.mutationFields((t) => ({
  trackUsage: t.field({
    type: TrackedUsage,
    authScopes: { completions: true },
    description:
      'Reports usage that was made elsewhere, as your own: 1 to 1,000 events, all of them or none. It joins the ledger, and counts in metrics and budgets at the time it was, also in a hard budget that has nothing left; credits do not pay for it. Several in one operation count as several requests.',
    complexity: ({ input }) => ({ field: 1, multiplier: input.events.length }),
    args: { input: t.arg({ type: TrackUsage, required: true, description: 'The report.' }) },
    errors: outcome(
      'usage',
      'What became of it.',
      ValidationError,
      AuthenticationError,
      ForbiddenError,
      NotFoundError,
      ConflictError,
      RateLimitedError,
    ),
    resolve: (_root, { input }, context) => {
      countRequest(context);
      return trackUsage(context.services, context.caller, input);
    },
  }),
  repriceUsage: t.field({
    type: RepricingType,
    authScopes: { admin: true },
    description:
      'Prices attempts and tracked usage again: by what admins have set, the price list and the catalog as they are now, as of the time of the usage. Each changed cost is posted as a `Correction`, in metrics and budgets, too, at the time of the usage; running it again posts nothing. Without `isDryRun: false` it only tells. Admins only.',
    args: { input: t.arg({ type: RepriceUsage, required: true, description: 'What is to be priced again.' }) },
    errors: outcome('repricing', 'What changed, or would.', ValidationError),
    resolve: (_root, { input }, context) => repriceUsage(context.services, context, input),
  }),
}));
