import { builder } from '../schema/builder.ts';

const UsageEventInput = builder.inputType('UsageEventInput', {
  description: 'Usage of a model by a call that did not go through Signalbox.',
  fields: (t) => ({
    provider: t.string({
      required: true,
      description:
        'The provider: its slug, its name, or its kind, of which the first by priority is meant. Any other name of up to 100 characters is taken, too; then there is no cost.',
    }),
    model: t.string({
      required: true,
      description:
        'The model, as the provider names it, up to 200 characters. Of one whose price is not known the cost is null until `repriceUsage` finds one.',
    }),
    inputTokens: t.int({ required: true, description: 'Of the input, cached and cache-written ones included.' }),
    outputTokens: t.int({ required: true, description: 'Of the output, reasoning included.' }),
    cachedTokens: t.int({
      description: 'Input tokens that were read from a cache. Default: not known, priced as none.',
    }),
    cacheWriteTokens: t.int({
      description: 'Input tokens that were written to a cache. Default: not known, priced as none.',
    }),
    reasoningTokens: t.int({
      description: 'Output tokens that were spent on reasoning. Default: not known, priced as output.',
    }),
    latencyMs: t.int({ description: 'How long the call took, in milliseconds. Default: not known.' }),
    metadata: t.field({
      type: 'JSON',
      description:
        'What else is to be found by: an object of up to 16 KiB, all of a report up to 1 MiB. Default: `{}`.',
    }),
    timestamp: t.field({
      type: 'DateTime',
      description:
        'When the usage was; it is priced and counted by that. Up to 366 days ago, as long as the ledger is kept, and up to 5 minutes ahead. Default: now.',
    }),
    idempotencyKey: t.string({
      description:
        'Your own name for it, up to 200 characters: the same again is recorded only once. Default: it is recorded each time.',
    }),
    attemptId: t.id({
      description:
        'Evidence instead of usage: what the INDETERMINATE attempt with this id really used. It corrects that attempt, once, at its own price. `provider` and `model` must be those of the attempt; `timestamp`, `latencyMs`, `metadata` and `idempotencyKey` are left out. Admins only.',
    }),
  }),
});

export const TrackUsage = builder.inputType('TrackUsageInput', {
  description: 'A report of usage.',
  fields: (t) => ({
    events: t.field({ type: [UsageEventInput], required: true, description: '1 to 1,000 of them.' }),
  }),
});

export const RepriceUsage = builder.inputType('RepriceUsageInput', {
  description: 'What is to be priced again.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', required: true, description: 'Used at this time or later.' }),
    to: t.field({
      type: 'DateTime',
      required: true,
      description: 'Used before this time, up to 366 days after `from`.',
    }),
    provider: t.string({ description: 'Only of this provider: its slug, name or kind, or a name that was reported.' }),
    model: t.string({ description: 'Only of this model.' }),
    includePriced: t.boolean({
      description:
        'Also what has a price, so that it gets the one that is known now. Default false: only what has none.',
    }),
    isDryRun: t.boolean({ description: 'Only tell what would change. Default true.' }),
  }),
});
