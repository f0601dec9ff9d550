import type { InputFieldBuilder } from '@pothos/core';
import { builder, type Types } from '../schema/builder.ts';
import {
  ModelStrategyEnum,
  RefusalPolicyEnum,
  RestartPolicyEnum,
  RouteModeEnum,
  RouteStrategyEnum,
  StickyKeyEnum,
} from './enums.ts';

type Fields = InputFieldBuilder<PothosSchemaTypes.ExtendDefaultTypes<Types>, 'InputObject'>;

const ScoreWeightsInput = builder.inputType('ScoreWeightsInput', {
  description: 'How much each thing counts in the score of a target: whole percentages whose sum is exactly 100.',
  fields: (t) => ({
    cost: t.int({ required: true, description: 'The blended price, 0 to 100.' }),
    latency: t.int({ required: true, description: 'The live median latency, 0 to 100.' }),
    quality: t.int({ required: true, description: 'The quality of the model, 0 to 100.' }),
  }),
});

const RouteTargetInput = builder.inputType('RouteTargetInput', {
  description:
    'A target of a route. For one with the same provider and models that is there already, a field that is left out stays as it is.',
  fields: (t) => ({
    provider: t.id({ required: true, description: 'The provider’s id or slug.' }),
    models: t.stringList({
      description:
        'Names of that provider’s models, up to 100, in order of preference. Default: all enabled ones of its provider; the first one unless the target’s strategy says otherwise; the others stand in last.',
    }),
    strategy: t.field({
      type: ModelStrategyEnum,
      description: 'How one of these models is picked. Default: FAILOVER.',
    }),
    priority: t.int({ description: 'Lower is tried earlier, 0 to 1,000,000. Default: 100.' }),
    weight: t.int({
      description:
        'Its share under the strategy WEIGHTED, relative to the others’, 0 to 1,000,000. 0: none at all. Default: 1.',
    }),
    metadata: t.field({ type: 'JSON', description: 'What callers want to keep with it. Default: `{}`.' }),
  }),
});

/** What may be said of how a route works, besides its mode and its strategy. */
const properties = (t: Fields) => ({
  scoreWeights: t.field({
    type: ScoreWeightsInput,
    description: 'What counts how much under the strategy CUSTOM, which needs it; the others refuse it.',
  }),
  allowsPowerLevel: t.boolean({
    description:
      'Whether the `powerLevel` of a request, or else the one in its user’s settings, narrows the targets. Of a new route by default false.',
  }),
  stickyBy: t.field({
    type: StickyKeyEnum,
    description:
      'Which requests always go to the same target under the strategy WEIGHTED. Changing the split moves no more of them than it must. Null: none, the default.',
  }),
  maxRetries: t.int({
    description: 'Most upstream calls after the first one that failed, 0 to 10. Of a new route by default 3.',
  }),
  totalTimeoutMs: t.int({
    description:
      'Longest time of a completion, all its upstream calls together, 100 to 3,600,000 milliseconds. Null: no limit but that of each provider, the default.',
  }),
  firstTokenTimeoutMs: t.int({
    description:
      'Longest time of an upstream call until its first token, 100 to 3,600,000 milliseconds. Null: the server’s setting, the default.',
  }),
  stallTimeoutMs: t.int({
    description:
      'Longest silence in a stream that has begun, 100 to 3,600,000 milliseconds. Null: the server’s setting, the default.',
  }),
  fallbacks: t.stringList({
    description:
      'What is tried after all of its targets, in this order: up to 10 names as clients put them in `model`, that is slugs or aliases of other routes, `provider/model`, or models. A route that is named here is tried with its own targets only: its fallbacks are not followed, so there are no loops.',
  }),
  preferredRegions: t.stringList({
    description:
      'Up to 10 texts of up to 50 characters, each written like the `region` of providers. Targets whose provider has one of them come first, in this order, and the others after them.',
  }),
  restartPolicy: t.field({
    type: RestartPolicyEnum,
    description: 'What happens when an answer that has begun breaks off. Of a new route by default NEVER.',
  }),
  refusalPolicy: t.field({
    type: RefusalPolicyEnum,
    description: 'What happens when a provider refuses a request for its content. Of a new route by default PROPAGATE.',
  }),
  cacheTtlSeconds: t.int({
    description:
      'How long a whole answer serves equal requests of the same caller, 1 to 86,400 seconds; such an answer costs nothing. Null: not at all, the default.',
  }),
  config: t.field({
    type: 'JSON',
    description: 'An object that admins want to keep with it, up to 16 KiB. Of a new route by default `{}`.',
  }),
});

export const CreateRoute = builder.inputType('CreateRouteInput', {
  description: 'A new route.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'The name for people, up to 100 characters.' }),
    slug: t.string({
      description:
        'What clients put in `model`: lower-case letters, digits and dashes, up to 63; unlike the names of all other routes and the slugs of all providers. Default: made from the name.',
    }),
    description: t.string({ description: 'What it is for, up to 1,000 characters.' }),
    aliases: t.stringList({
      description:
        'Up to 20 other names for `model`: printable ASCII without white space, up to 200 characters. They come before models of the same name.',
    }),
    mode: t.field({ type: RouteModeEnum, description: 'Default: AUTO.' }),
    strategy: t.field({
      type: RouteStrategyEnum,
      description:
        'How a target is picked. WEIGHTED needs a target with a weight, CUSTOM `scoreWeights`. Default: FAILOVER.',
    }),
    ...properties(t),
    isActive: t.boolean({ description: 'Whether clients can use it. Default: true.' }),
    targets: t.field({
      type: [RouteTargetInput],
      description: 'Where it sends, up to 50 targets. Without any it sends to the active provider.',
    }),
  }),
});

export const UpdateRoute = builder.inputType('UpdateRouteInput', {
  description:
    'Changes to a route. A field that is left out stays as it is, and so does one that is null, unless its description says what null means.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Its id, its slug or one of its aliases.' }),
    version: t.int({ description: 'The `version` that the change is based on. A stale one is refused. Default: any.' }),
    name: t.string({ description: 'The name for people, up to 100 characters.' }),
    slug: t.string({
      description:
        'What clients put in `model`. API keys that are limited to the old slug lose the route. The route `default` keeps its own, and a name by which other routes fall back on it cannot go.',
    }),
    description: t.string({ description: 'What it is for, up to 1,000 characters. Null: nothing is said.' }),
    aliases: t.stringList({
      description:
        'All of its other names for `model`, up to 20. A name by which other routes fall back on it cannot go.',
    }),
    mode: t.field({ type: RouteModeEnum, description: 'Whether a hint picks the provider or model.' }),
    strategy: t.field({
      type: RouteStrategyEnum,
      description: 'How a target is picked. WEIGHTED needs a target with a weight, CUSTOM `scoreWeights`.',
    }),
    ...properties(t),
    isActive: t.boolean({ description: 'Whether clients can use it. The route `default` cannot be switched off.' }),
    targets: t.field({ type: [RouteTargetInput], description: 'All of its targets, up to 50.' }),
  }),
});
