import { brandWithType } from '@pothos/core';
import type { ToolCallDelta } from '../../gateway/completion.ts';
import type { SignalboxError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { ErrorCodeEnum, ErrorInterface } from '../schema/errors.ts';
import type { StreamedEvent } from './run.ts';
import { AttemptType, CompletionType } from './types.ts';

type Event<Type extends StreamedEvent['type']> = Extract<StreamedEvent, { type: Type }>;

const Started = builder.objectRef<Event<'started'>>('CompletionStarted').implement({
  description: 'A provider has begun to answer.',
  fields: (t) => ({
    requestId: t.id({ description: 'Finds it in `request(id)`.', resolve: ({ head }) => head.requestId }),
    provider: t.string({ description: 'Slug of the provider that answers.', resolve: ({ head }) => head.provider }),
    model: t.string({ description: 'The model that was asked for.', resolve: ({ head }) => head.model }),
    route: t.string({
      nullable: true,
      description: 'Slug of the route it takes. Null: the client named a model.',
      resolve: ({ head }) => head.route,
    }),
    variant: t.id({
      nullable: true,
      description: 'Id of the route’s target that answers; in an experiment, the variant. Null: there is none.',
      resolve: ({ head }) => head.targetId,
    }),
    isCached: t.boolean({
      description: 'Whether an answer from the route’s response cache serves it.',
      resolve: ({ head }) => head.isCached,
    }),
    attemptCount: t.int({
      description: 'Upstream calls made so far; 0 for a cached answer.',
      resolve: ({ head }) => head.attempts,
    }),
    startedAt: t.field({
      type: 'DateTime',
      description: 'When the completion was admitted.',
      resolve: ({ head }) => new Date(head.startedAt),
    }),
  }),
});

const ToolCallFragment = builder.objectRef<ToolCallDelta>('ToolCallFragment').implement({
  description: 'A piece of a tool call.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: 'Pieces with the same index belong together.' }),
    id: t.exposeString('id', { nullable: true, description: 'In the first piece.' }),
    name: t.exposeString('name', { nullable: true, description: 'Name of the tool; in the first piece.' }),
    arguments: t.exposeString('arguments', { description: 'A piece of JSON text; append it.' }),
  }),
});

const DeltaType = builder.objectRef<Event<'delta'>>('CompletionDelta').implement({
  description:
    'More of the answer. Append it to what came before. The first comes at once, others every 20 ms at most.',
  fields: (t) => ({
    seq: t.exposeInt('seq', { description: 'Number of the last of the provider’s events that are in it, from 0.' }),
    text: t.exposeString('text', { description: 'More of the answer; may be empty.' }),
    reasoning: t.exposeString('reasoning', { description: 'More of the reasoning; may be empty.' }),
    toolCalls: t.field({
      type: [ToolCallFragment],
      description: 'More of the tool calls.',
      resolve: ({ toolCalls }) => [...toolCalls],
    }),
    outputTokens: t.exposeInt('outputTokens', {
      description: 'Output tokens so far, estimated; the provider counts them only at the end.',
    }),
  }),
});

const Restarted = builder.objectRef<Event<'restarted'>>('CompletionRestarted').implement({
  description:
    'The answer broke off, and another target begins anew: discard every delta before this. Only on routes whose `restartPolicy` is OTHER_TARGET.',
  fields: (t) => ({
    requestId: t.id({ description: 'Finds it in `request(id)`.', resolve: ({ head }) => head.requestId }),
    reason: t.string({
      description: 'Why the answer broke off, in a sentence.',
      resolve: ({ error }) => error.message,
    }),
    code: t.field({ type: ErrorCodeEnum, description: 'The same for programs.', resolve: ({ error }) => error.code }),
    provider: t.string({ description: 'Slug of the provider that answers now.', resolve: ({ head }) => head.provider }),
    model: t.string({ description: 'The model that is asked now.', resolve: ({ head }) => head.model }),
    variant: t.id({
      nullable: true,
      description: 'Id of the route’s target that answers now. Null: there is none.',
      resolve: ({ head }) => head.targetId,
    }),
    attemptCount: t.int({ description: 'Upstream calls made so far.', resolve: ({ head }) => head.attempts }),
  }),
});

const Finished = builder.objectRef<Event<'finished'>>('CompletionFinished').implement({
  description: 'The answer is whole, and on the ledger. The last event.',
  fields: (t) => ({
    completion: t.field({
      type: CompletionType,
      description: 'The whole answer, and what it took.',
      resolve: ({ answer }) => answer,
    }),
  }),
});

const Failed = builder.objectRef<Event<'failed'>>('CompletionFailed').implement({
  description: 'There will be no whole answer. The last event.',
  fields: (t) => ({
    error: t.field({
      type: ErrorInterface,
      description: 'What went wrong.',
      resolve: ({ error }) => asValue(error),
    }),
    requestId: t.exposeID('requestId', {
      description: 'Finds it in `request(id)`, if anything was sent upstream.',
    }),
    attempts: t.field({
      type: [AttemptType],
      description: 'The upstream calls that were made, the first one first.',
      resolve: ({ report }) => [...(report?.attempts ?? [])],
    }),
  }),
});

/** The error's members under the name of its class: GraphQL throws what is an Error instead of answering it. */
function asValue(error: SignalboxError): SignalboxError {
  const value = { ...error, message: error.message, status: error.status };
  brandWithType(value, error.constructor as never);
  return value;
}

const TYPE_NAMES = {
  started: 'CompletionStarted',
  delta: 'CompletionDelta',
  restarted: 'CompletionRestarted',
  finished: 'CompletionFinished',
  failed: 'CompletionFailed',
} as const;

export const CompletionEventType = builder.unionType('CompletionEvent', {
  description:
    'What happens to a streamed completion: it starts, brings deltas, may start over, and finishes or fails.',
  types: [Started, DeltaType, Restarted, Finished, Failed],
  resolveType: ({ type }) => TYPE_NAMES[type],
});
