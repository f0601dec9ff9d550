import type { Door, Operation } from '../../gateway/ledger/records.ts';
import { isUuid } from '../../platform/ids.ts';
import { builder } from '../schema/builder.ts';
import { connectionOf, pageArgs, pageComplexity, readPage } from '../schema/connections.ts';
import { enumOf } from '../schema/enum-of.ts';
import { ErrorCodeEnum } from '../schema/errors.ts';
import { completionFilterFields } from './filter.ts';
import type { LoggedRequest } from './logged-request.ts';
import { type Clause, conditionOf, requestClauses } from './request-filter.ts';
import { countRequests, readRequests, toErrorCode } from './request-rows.ts';
import { AttemptType, RequestStatusEnum } from './types.ts';
import { UsageType } from './usage-type.ts';

const DoorEnum = enumOf<Door>('Door', 'The way a request came in.', {
  OPENAI: 'The OpenAI-compatible `/v1`.',
  GRAPHQL: 'GraphQL.',
});

const OperationEnum = enumOf<Operation>('Operation', 'What a request asked for.', {
  CHAT: 'A chat completion.',
  EMBEDDINGS: 'Embeddings of texts.',
});

const Tag = builder.objectRef<{ name: string; value: string }>('Tag').implement({
  description: 'A name with a value that the client gave a completion.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    value: t.exposeString('value', { description: 'Its value.' }),
  }),
});

export const Request = builder.objectRef<LoggedRequest>('Request').implement({
  description: 'A completion as the ledger has it. Prompts and answers are not stored.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The `requestId` of its answer, a UUIDv7.' }),
    seq: t.expose('seq', {
      type: 'BigInt',
      description:
        'Position in the ledger, which is the order in which it was written. The numbers between are other people’s requests, tracked usage and corrections. `requestLogged` resumes from it.',
    }),
    status: t.expose('status', { type: RequestStatusEnum, description: 'How it ended.' }),
    door: t.expose('door', { type: DoorEnum, description: 'The way it came in.' }),
    operation: t.expose('operation', { type: OperationEnum, description: 'What was asked for.' }),
    isStreamed: t.exposeBoolean('isStreamed', { description: 'Whether its answer was streamed.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it was admitted.' }),
    finishedAt: t.expose('finishedAt', { type: 'DateTime', description: 'When it ended.' }),
    userId: t.exposeID('userId', { nullable: true, description: 'Whose it is. Null: nobody was signed in.' }),
    apiKeyId: t.exposeID('apiKeyId', { nullable: true, description: 'The API key it came with. Null: none.' }),
    route: t.exposeString('route', {
      nullable: true,
      description: 'Slug of the route it took. Null: the client named a model.',
    }),
    requestedModel: t.exposeString('requestedModel', {
      nullable: true,
      description: 'What the client put in `model`. Null: nothing.',
    }),
    provider: t.exposeString('provider', { nullable: true, description: 'Slug of the last attempt’s provider.' }),
    model: t.exposeString('model', { nullable: true, description: 'The last attempt’s model.' }),
    variant: t.exposeID('targetId', {
      nullable: true,
      description:
        'Id of the route’s target that answered; in an experiment, the variant. Null: no route, or one without targets.',
    }),
    isCached: t.exposeBoolean('isCached', {
      description: 'Whether it was answered from the route’s cache: without an upstream call, and at no cost.',
    }),
    finishReason: t.exposeString('finishReason', {
      nullable: true,
      description: 'Why the answer ended: `stop`, `length`, `tool_calls`, `content_filter`. Null: it did not.',
    }),
    errorCode: t.field({
      type: ErrorCodeEnum,
      nullable: true,
      description: 'Null: it did not fail.',
      resolve: ({ errorCode }) => toErrorCode(errorCode),
    }),
    errorMessage: t.exposeString('errorMessage', { nullable: true, description: 'What went wrong, in a sentence.' }),
    usage: t.expose('usage', { type: UsageType, description: 'What it used, over all attempts, as corrected since.' }),
    cost: t.expose('cost', {
      type: 'USD',
      nullable: true,
      description: 'What it cost, over all attempts, exactly, as corrected since. Null: a usage or price is unknown.',
    }),
    latencyMs: t.exposeInt('latencyMs', { description: 'From its admission to its end, in milliseconds.' }),
    timeToFirstTokenMs: t.exposeInt('timeToFirstTokenMs', {
      nullable: true,
      description: 'From its admission to its first token, in milliseconds. Null: not streamed, or none came.',
    }),
    attemptCount: t.exposeInt('attemptCount', { description: 'Upstream calls that were made.' }),
    attempts: t.field({
      type: [AttemptType],
      description: 'The upstream calls, the first one first.',
      resolve: ({ attempts }) => attempts(),
    }),
    configVersion: t.expose('configVersion', {
      type: 'BigInt',
      description: 'Version of the configuration it was served with.',
    }),
    tags: t.field({
      type: [Tag],
      description: 'The names with values that the client gave it.',
      resolve: ({ tags }) => Object.entries(tags).map(([name, value]) => ({ name, value })),
    }),
    warnings: t.stringList({
      description: 'What was changed or left out on the way, in sentences.',
      resolve: ({ warnings }) => [...warnings],
    }),
  }),
});

export const RequestFilter = builder.inputType('RequestFilter', {
  description: 'Which requests are meant; all that is given must fit.',
  fields: (t) => ({
    ...completionFilterFields(t),
    search: t.string({
      description:
        'Part of an id, of an error’s code or message, or of a tag’s name or value; A to Z in either case. Up to 200 characters.',
    }),
    from: t.field({ type: 'DateTime', description: 'Started at this time or later. Makes a search faster.' }),
    to: t.field({ type: 'DateTime', description: 'Started before this time.' }),
  }),
});

const RequestConnection = connectionOf(Request, 'Request', 'requests');

builder.queryFields((t) => ({
  request: t.field({
    type: Request,
    nullable: true,
    authScopes: { user: true },
    description: 'One request, within a second of its end. Null: there is none that you may see. Admins see all.',
    args: { id: t.arg.id({ required: true, description: 'The `requestId` of its answer.' }) },
    resolve: async (_root, { id }, { caller, services }) => {
      if (!isUuid(id)) return null;
      const condition = conditionOf([{ sql: 'id = ?', value: id }, ...requestClauses(caller, {})]);
      return (await readRequests(services.pool, condition, 'id DESC', 1))[0] ?? null;
    },
  }),
  requests: t.field({
    type: RequestConnection,
    authScopes: { user: true },
    description: 'The request log, newest first: your own, or everybody’s for admins.',
    complexity: pageComplexity,
    args: { filter: t.arg({ type: RequestFilter, description: 'Default: all.' }), ...pageArgs() },
    resolve: (_root, { filter, ...page }, { caller, services: { pool } }) => {
      const clauses = requestClauses(caller, filter ?? {});
      return readPage(page, {
        rows: (after, limit) => {
          const behind: Clause[] = after ? [{ sql: 'id < ?', value: after }] : [];
          return readRequests(pool, conditionOf([...clauses, ...behind]), 'id DESC', limit);
        },
        count: () => countRequests(pool, conditionOf(clauses)),
      });
    },
  }),
}));
