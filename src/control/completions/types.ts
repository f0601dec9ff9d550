import type { AttemptReport } from '../../gateway/completion.ts';
import type { Correction } from '../../gateway/ledger/effective.ts';
import type { RequestStatus } from '../../gateway/ledger/records.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import { ErrorCodeEnum } from '../schema/errors.ts';
import { CorrectionType } from './correction-type.ts';
import type { Answer, ToolCall } from './transcript.ts';
import { CostSourceEnum, UsageType } from './usage-type.ts';

export const RequestStatusEnum = enumOf<RequestStatus>('RequestStatus', 'How a request ended.', {
  SUCCEEDED: 'With a whole answer.',
  FAILED: 'With an error.',
  CANCELLED: 'The client left or cancelled; what was used is on the ledger.',
  INDETERMINATE: 'The server died while it ran; its usage and cost are estimates.',
});

/** An upstream call with what became known of it later. */
export interface ShownAttempt extends AttemptReport {
  /** The oldest first; absent: it has just ended. */
  corrections?: readonly Correction[];
}

export const AttemptType = builder.objectRef<ShownAttempt>('Attempt').implement({
  description: 'One upstream call of a completion.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    number: t.exposeInt('number', { description: 'From 1, in the order in which they were made.' }),
    provider: t.exposeString('provider', { description: 'Slug of the provider.' }),
    model: t.exposeString('model', { description: 'The model that was asked for.' }),
    answeredModel: t.exposeString('answeredModel', {
      nullable: true,
      description: 'The model that the provider says answered.',
    }),
    variant: t.exposeID('targetId', {
      nullable: true,
      description:
        'Id of the route’s target that it went to; in an experiment, the variant. Null: no route, or one without targets.',
    }),
    usedOwnKey: t.exposeBoolean('usedOwnKey', {
      description: 'Whether it went with the user’s own key of that provider: then the provider bills the user.',
    }),
    status: t.expose('status', { type: RequestStatusEnum, description: 'How it ended.' }),
    startedAt: t.field({
      type: 'DateTime',
      description: 'When it was sent.',
      resolve: ({ startedAt }) => new Date(startedAt),
    }),
    upstreamStatus: t.exposeInt('upstreamStatus', {
      nullable: true,
      description: 'HTTP status of the provider’s answer; null when there was none.',
    }),
    finishReason: t.exposeString('finishReason', {
      nullable: true,
      description: 'Why the answer ended: `stop`, `length`, `tool_calls`, `content_filter`. Null: it did not.',
    }),
    errorCode: t.expose('errorCode', { type: ErrorCodeEnum, nullable: true, description: 'Null: it did not fail.' }),
    errorMessage: t.exposeString('errorMessage', { nullable: true, description: 'What went wrong, in a sentence.' }),
    usage: t.field({
      type: UsageType,
      description: 'What it used.',
      resolve: ({ usage, isEstimated }) => ({ ...usage, isEstimated }),
    }),
    cost: t.expose('cost', {
      type: 'USD',
      nullable: true,
      description: 'What it cost, exactly, as corrected since. Null: the usage or the price is unknown.',
    }),
    held: t.expose('held', {
      type: 'USD',
      nullable: true,
      description:
        'The most that it could cost, which was set aside for it. Null: no hard budget and no credits limited it.',
    }),
    isOverrun: t.boolean({
      description: 'Whether the provider billed more than the worst case that was set aside: `cost` is above `held`.',
      resolve: ({ cost, held }) => cost !== null && held !== null && cost > held,
    }),
    corrections: t.field({
      type: [CorrectionType],
      description: 'What became known of it later, the oldest first; usage and cost are as the last one says.',
      resolve: ({ corrections }) => [...(corrections ?? [])],
    }),
    costSource: t.expose('costSource', {
      type: CostSourceEnum,
      nullable: true,
      description: 'How the cost came about. Null: it is unknown.',
    }),
    latencyMs: t.exposeInt('latencyMs', { description: 'From its dispatch to its end, in milliseconds.' }),
    timeToFirstTokenMs: t.exposeInt('timeToFirstTokenMs', {
      nullable: true,
      description: 'From its dispatch to the first token, in milliseconds. Null: not streamed, or none came.',
    }),
  }),
});

const ToolCallType = builder.objectRef<ToolCall>('ToolCall').implement({
  description: 'A call of one of the client’s tools that the model asks for.',
  fields: (t) => ({
    id: t.exposeString('id', {
      nullable: true,
      description: 'Names it in the message with its result. Null: the provider gave none.',
    }),
    name: t.exposeString('name', { description: 'Name of the tool.' }),
    arguments: t.exposeString('arguments', {
      description: 'JSON text as the model wrote it; models do write invalid JSON.',
    }),
  }),
});

export const CompletionType = builder.objectRef<Answer>('Completion').implement({
  description: 'An answer, and what it took.',
  fields: (t) => ({
    requestId: t.id({
      description: 'Finds it in `request(id)` and `requests`.',
      resolve: ({ report }) => report.requestId,
    }),
    text: t.exposeString('text', {
      nullable: true,
      description: 'The answer. Null: it has none, only tool calls; or it was streamed and longer than 4 MiB.',
    }),
    reasoning: t.exposeString('reasoning', { nullable: true, description: 'The reasoning that the model shows.' }),
    toolCalls: t.field({
      type: [ToolCallType],
      description: 'The tools that the model wants called.',
      resolve: ({ toolCalls }) => [...toolCalls],
    }),
    finishReason: t.string({
      nullable: true,
      description: 'Why the answer ended: `stop`, `length`, `tool_calls`, `content_filter`.',
      resolve: ({ report }) => report.finishReason,
    }),
    usage: t.field({
      type: UsageType,
      description: 'What it used, over all attempts.',
      resolve: ({ report }) => ({ ...report.usage, isEstimated: report.isEstimated }),
    }),
    cost: t.field({
      type: 'USD',
      nullable: true,
      description: 'What it cost, over all attempts, exactly. Null: a usage or price is unknown.',
      resolve: ({ report }) => report.cost,
    }),
    provider: t.exposeString('provider', { description: 'Slug of the provider that answered.' }),
    model: t.exposeString('model', { description: 'The model that answered.' }),
    route: t.string({
      nullable: true,
      description: 'Slug of the route it took. Null: the client named a model.',
      resolve: ({ report }) => report.route,
    }),
    variant: t.id({
      nullable: true,
      description:
        'Id of the route’s target that answered; in an experiment, the variant. Null: no route, or one without targets.',
      resolve: ({ report }) => report.targetId,
    }),
    isCached: t.boolean({
      description: 'Whether it came from the route’s cache of answers: without an upstream call, and at no cost.',
      resolve: ({ report }) => report.isCached,
    }),
    latencyMs: t.int({
      description: 'From its admission to its end, in milliseconds.',
      resolve: ({ report }) => report.latencyMs,
    }),
    timeToFirstTokenMs: t.int({
      nullable: true,
      description: 'From its admission to its first token, in milliseconds. Null: it was not streamed.',
      resolve: ({ report }) => report.timeToFirstTokenMs,
    }),
    warnings: t.stringList({
      description: 'What was changed or left out on the way, in sentences.',
      resolve: ({ report }) => [...report.warnings],
    }),
    attempts: t.field({
      type: [AttemptType],
      description: 'Its upstream calls, the first one first.',
      resolve: ({ report }) => [...report.attempts],
    }),
  }),
});
