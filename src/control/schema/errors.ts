import {
  AuthenticationError,
  BudgetExceededError,
  CancelledError,
  ConflictError,
  ContentFilterError,
  ContextLengthError,
  type ErrorCode,
  ForbiddenError,
  InsufficientCreditsError,
  ModelNotFoundError,
  NotFoundError,
  OverloadedError,
  PayloadTooLargeError,
  ProviderNotFoundError,
  RateLimitedError,
  RouteNotFoundError,
  type SignalboxError,
  UpstreamError,
  UpstreamTimeoutError,
  ValidationError,
  type ValidationIssue,
} from '../../platform/errors.ts';
import { builder } from './builder.ts';
import { enumOf } from './enum-of.ts';

export const ErrorCodeEnum = enumOf<ErrorCode>(
  'ErrorCode',
  'What kind of failure it is. Codes are stable; sentences may change.',
  {
    VALIDATION: 'The input or the document is wrong.',
    CONTEXT_LENGTH_EXCEEDED: 'The prompt does not fit into the model’s context.',
    CONTENT_FILTERED: 'The provider refused the content.',
    UNAUTHENTICATED: 'Nobody is signed in, or the credential is not valid.',
    INSUFFICIENT_CREDITS: 'The caller’s credits are too few.',
    BUDGET_EXCEEDED: 'A hard budget has too little left.',
    FORBIDDEN: 'The caller may not do this.',
    PROVIDER_NOT_FOUND: 'There is no such provider.',
    MODEL_NOT_FOUND: 'There is no such model.',
    ROUTE_NOT_FOUND: 'There is no such route.',
    NOT_FOUND: 'There is no such thing.',
    CONFLICT:
      'A name is taken, a thing is in use, the change was based on an old version, or the `requestId` of a completion stands for another one.',
    PAYLOAD_TOO_LARGE: 'The request or an answer is larger than the limit.',
    RATE_LIMITED: 'Too many requests.',
    CANCELLED: 'The client cancelled.',
    INTERNAL: 'A fault of the server; the request id finds it in the log.',
    UPSTREAM: 'The provider failed.',
    OVERLOADED: 'The server cannot take this now.',
    UPSTREAM_TIMEOUT: 'The provider took too long.',
  },
);

export const ErrorInterface = builder.interfaceRef<SignalboxError>('Error').implement({
  description: 'An expected failure.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCodeEnum, description: 'What kind of failure it is.' }),
    message: t.exposeString('message', { description: 'A sentence for the person who caused it.' }),
    requestId: t.id({
      description: 'Names the request in logs and support questions; also in the header `x-request-id`.',
      resolve: (_error, _args, { requestId }) => requestId,
    }),
  }),
});

const Issue = builder.objectRef<ValidationIssue>('ValidationIssue').implement({
  description: 'What is wrong with one field of an input.',
  fields: (t) => ({
    path: t.exposeString('path', { description: 'The field, dotted, below `input`: `targets.0.weight`.' }),
    message: t.exposeString('message', { description: 'What is wrong with it.' }),
  }),
});

const interfaces = [ErrorInterface];

builder.objectType(ValidationError, {
  name: 'ValidationError',
  description: 'The input is wrong.',
  interfaces,
  fields: (t) => ({
    issues: t.field({
      type: [Issue],
      description: 'Everything that is wrong with it.',
      resolve: ({ issues }) => [...issues],
    }),
  }),
});

builder.objectType(ProviderNotFoundError, {
  name: 'ProviderNotFoundError',
  description: 'There is no such provider.',
  interfaces,
  fields: (t) => ({
    availableProviders: t.stringList({
      description: 'Slugs of the providers there are.',
      resolve: ({ availableProviders }) => [...availableProviders],
    }),
  }),
});

builder.objectType(ModelNotFoundError, {
  name: 'ModelNotFoundError',
  description: 'There is no such model.',
  interfaces,
  fields: (t) => ({
    nearest: t.stringList({
      description: 'Names that look like the one asked for, nearest first.',
      resolve: ({ nearest }) => [...nearest],
    }),
  }),
});

builder.objectType(PayloadTooLargeError, {
  name: 'PayloadTooLargeError',
  description: 'The request or an answer is larger than the limit.',
  interfaces,
  fields: (t) => ({ limitBytes: t.exposeInt('limitBytes', { description: 'The limit in bytes.' }) }),
});

builder.objectType(RateLimitedError, {
  name: 'RateLimitedError',
  description: 'Too many requests.',
  interfaces,
  fields: (t) => ({
    retryAfterSeconds: t.exposeInt('retryAfterSeconds', { description: 'Seconds until it may be tried again.' }),
  }),
});

builder.objectType(OverloadedError, {
  name: 'OverloadedError',
  description: 'The server cannot take this now: it is stopping or full, or its database is away.',
  interfaces,
  fields: (t) => ({
    retryAfterSeconds: t.exposeInt('retryAfterSeconds', { description: 'Seconds after which to try again.' }),
  }),
});

builder.objectType(UpstreamError, {
  name: 'UpstreamError',
  description: 'The provider failed, and so did what else could be tried.',
  interfaces,
  fields: (t) => ({
    provider: t.exposeString('provider', { description: 'Slug of the provider that failed last.' }),
    upstreamStatus: t.exposeInt('upstreamStatus', {
      nullable: true,
      description: 'HTTP status of its answer; null when there was none.',
    }),
    attemptCount: t.exposeInt('attempts', { description: 'Upstream calls that were made.' }),
  }),
});

const UpstreamTimeout = enumOf('UpstreamTimeout', 'A limit of time on upstream calls.', {
  CONNECT: 'Until the connection stands.',
  FIRST_TOKEN: 'Until the first token of a stream.',
  STALL: 'Between two events of a stream.',
  TOTAL: 'For the whole call.',
});

builder.objectType(UpstreamTimeoutError, {
  name: 'UpstreamTimeoutError',
  description: 'The provider took too long.',
  interfaces,
  fields: (t) => ({
    timeout: t.expose('timeout', { type: UpstreamTimeout, description: 'Which limit passed.' }),
    attemptCount: t.exposeInt('attempts', { description: 'Upstream calls that were made.' }),
  }),
});

const NEEDED = 'The most that what was asked for can cost.';

builder.objectType(BudgetExceededError, {
  name: 'BudgetExceededError',
  description:
    'A HARD budget has too little left for the most that the completion can cost. Amounts are told to admins, and to those whose own budget it is.',
  interfaces,
  fields: (t) => ({
    budgetId: t.exposeID('budgetId', {
      nullable: true,
      description: 'Finds it in `budget(id)`. Null: the caller may not see it.',
    }),
    remaining: t.field({
      type: 'USD',
      nullable: true,
      description: 'What is neither spent nor set aside; below 0 where more was spent than the limit. Null: not told.',
      resolve: ({ shortage }) => shortage.remaining,
    }),
    limit: t.field({
      type: 'USD',
      nullable: true,
      description: 'What may be spent in the period. Null: not told.',
      resolve: ({ shortage }) => shortage.limit,
    }),
    openHolds: t.field({
      type: 'USD',
      nullable: true,
      description: 'What is set aside for completions that are running. Null: not told.',
      resolve: ({ shortage }) => shortage.openHolds,
    }),
    needed: t.field({ type: 'USD', description: NEEDED, resolve: ({ shortage }) => shortage.needed }),
    resetsAt: t.expose('resetsAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the next period begins; null: never, as with TOTAL.',
    }),
  }),
});

builder.objectType(InsufficientCreditsError, {
  name: 'InsufficientCreditsError',
  description: 'The caller’s credits are too few for the most that the completion can cost.',
  interfaces,
  fields: (t) => ({
    remaining: t.field({
      type: 'USD',
      description: 'What is neither spent nor set aside; below 0 where more was spent than was granted.',
      resolve: ({ shortage }) => shortage.remaining,
    }),
    limit: t.field({ type: 'USD', description: 'What was granted in all.', resolve: ({ shortage }) => shortage.limit }),
    openHolds: t.field({
      type: 'USD',
      description: 'What is set aside for completions that are running.',
      resolve: ({ shortage }) => shortage.openHolds,
    }),
    needed: t.field({ type: 'USD', description: NEEDED, resolve: ({ shortage }) => shortage.needed }),
  }),
});

for (const [type, name, description] of [
  [AuthenticationError, 'AuthenticationError', 'The credential is missing or not valid.'],
  [ForbiddenError, 'ForbiddenError', 'The caller may not do this.'],
  [RouteNotFoundError, 'RouteNotFoundError', 'There is no such route.'],
  [NotFoundError, 'NotFoundError', 'There is no such thing.'],
  [ConflictError, 'ConflictError', 'A name is taken, a thing is in use, or the change was based on an old version.'],
  [ContextLengthError, 'ContextLengthError', 'The prompt does not fit into the model’s context.'],
  [ContentFilterError, 'ContentFilterError', 'The provider refused the content.'],
  [CancelledError, 'CancelledError', 'The client cancelled.'],
] as const) {
  builder.objectType(type, { name, description, interfaces });
}
