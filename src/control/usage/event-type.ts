import { CorrectionType, CostSourceEnum } from '../completions/completions.ts';
import { builder } from '../schema/builder.ts';
import type { LoggedEvent } from './event-rows.ts';

export const UsageEventType = builder.objectRef<LoggedEvent>('UsageEvent').implement({
  description: 'Usage that was made elsewhere and reported with `trackUsage`, as the ledger has it.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    seq: t.expose('seq', { type: 'BigInt', description: 'Position in the ledger.' }),
    occurredAt: t.expose('occurredAt', {
      type: 'DateTime',
      description: 'When the usage was: it counts then in metrics and budgets.',
    }),
    recordedAt: t.expose('recordedAt', { type: 'DateTime', description: 'When it was reported.' }),
    userId: t.exposeID('userId', { description: 'Whose it is: who reported it.' }),
    apiKeyId: t.exposeID('apiKeyId', {
      nullable: true,
      description: 'The API key it was reported with. Null: none.',
    }),
    provider: t.exposeString('provider', {
      description: 'Slug of the provider, or the name that was reported if no provider had it.',
    }),
    isProviderKnown: t.boolean({
      description: 'Whether there was a provider of that name: then it counts in the budgets of that provider.',
      resolve: ({ providerId }) => providerId !== null,
    }),
    model: t.exposeString('model', { description: 'The model.' }),
    inputTokens: t.int({
      nullable: true,
      description: 'Tokens of the input, cached and cache-written ones included.',
      resolve: ({ usage }) => usage.inputTokens,
    }),
    outputTokens: t.int({
      nullable: true,
      description: 'Tokens of the output, reasoning included.',
      resolve: ({ usage }) => usage.outputTokens,
    }),
    cachedTokens: t.int({
      nullable: true,
      description: 'Input tokens that were read from a cache. Null: it was not said.',
      resolve: ({ usage }) => usage.cachedTokens,
    }),
    cacheWriteTokens: t.int({
      nullable: true,
      description: 'Input tokens that were written to a cache. Null: it was not said.',
      resolve: ({ usage }) => usage.cacheWriteTokens,
    }),
    reasoningTokens: t.int({
      nullable: true,
      description: 'Output tokens that were spent on reasoning. Null: it was not said.',
      resolve: ({ usage }) => usage.reasoningTokens,
    }),
    cost: t.expose('cost', {
      type: 'USD',
      nullable: true,
      description: 'What it cost, exactly, as corrected since. Null: there is no price.',
    }),
    costSource: t.expose('costSource', {
      type: CostSourceEnum,
      nullable: true,
      description: 'How the cost came about. Null: there is none.',
    }),
    latencyMs: t.exposeInt('latencyMs', {
      nullable: true,
      description: 'How long the call took, in milliseconds. Null: it was not said.',
    }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'What was reported with it: an object.' }),
    idempotencyKey: t.exposeString('idempotencyKey', {
      nullable: true,
      description: 'The reporter’s own name for it. Null: none.',
    }),
    corrections: t.field({
      type: [CorrectionType],
      // Hardly any event has one.
      complexity: { field: 1, multiplier: 1 },
      description: 'What became known of it later, the oldest first; the cost is as the last one says.',
      resolve: ({ corrections }) => [...corrections],
    }),
  }),
});
