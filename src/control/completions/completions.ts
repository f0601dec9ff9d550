import {
  AuthenticationError,
  BudgetExceededError,
  ConflictError,
  ContentFilterError,
  ContextLengthError,
  ForbiddenError,
  InsufficientCreditsError,
  ModelNotFoundError,
  OverloadedError,
  PayloadTooLargeError,
  ProviderNotFoundError,
  RateLimitedError,
  RouteNotFoundError,
  UpstreamError,
  UpstreamTimeoutError,
  ValidationError,
} from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { countRequest } from '../schema/count-request.ts';
import { directOutcome } from '../schema/result.ts';
import { CompletionEventType } from './events.ts';
import { CompletionInputType } from './input-types.ts';
import './request-log.ts';
import './request-logged.ts';
import { complete, streamCompletion } from './run.ts';
import { CompletionType } from './types.ts';

export { CorrectionType } from './correction-type.ts';
export { type CompletionFilter, completionFilterFields, visibleFilter } from './filter.ts';
export type { LoggedRequest } from './logged-request.ts';
export { conflictingRequest } from './request-conflict.ts';
export { RequestTail } from './request-tail.ts';
export { RequestStatusEnum } from './types.ts';
export { CostSourceEnum } from './usage-type.ts';

builder.mutationField('complete', (t) =>
  t.field({
    type: CompletionType,
    authScopes: { completions: true },
    description:
      'Makes a completion and returns the whole answer. When the client leaves, the upstream call stops, or goes on for a while if it has a `requestId`. Several in one operation count as several requests.',
    args: { input: t.arg({ type: CompletionInputType, required: true, description: 'What to complete.' }) },
    errors: directOutcome(
      ValidationError,
      ModelNotFoundError,
      RouteNotFoundError,
      ProviderNotFoundError,
      AuthenticationError,
      ForbiddenError,
      ConflictError,
      RateLimitedError,
      BudgetExceededError,
      InsufficientCreditsError,
      ContextLengthError,
      ContentFilterError,
      PayloadTooLargeError,
      UpstreamError,
      UpstreamTimeoutError,
      OverloadedError,
    ),
    resolve: (_root, { input }, context) => {
      countRequest(context);
      return complete(context, input);
    },
  }),
);

builder.subscriptionField('completion', (t) =>
  t.field({
    type: CompletionEventType,
    authScopes: { completions: true },
    description:
      'Makes a completion and streams its answer. Unsubscribing stops the upstream call at once. With a `requestId`, a lost connection does so only after `RESUME_GRACE` seconds: subscribe again with the same input and `resumeFrom` until then.',
    args: { input: t.arg({ type: CompletionInputType, required: true, description: 'What to complete.' }) },
    subscribe: (_root, { input }, context) => streamCompletion(context, input),
    resolve: (event) => event,
  }),
);
