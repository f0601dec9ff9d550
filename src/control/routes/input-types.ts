import { builder } from '../schema/builder.ts';
import { RouteModeEnum, RouteStrategyEnum } from './route-type.ts';

const RouteTargetInput = builder.inputType('RouteTargetInput', {
  description:
    'A target of a route. For one with the same provider and models that is there already, a field that is left out stays as it is.',
  fields: (t) => ({
    provider: t.id({ required: true, description: 'The provider’s id or slug.' }),
    models: t.stringList({
      description:
        'Names of that provider’s models, up to 100, in the order in which they are tried. Default: its first enabled model; with a hint, all of its enabled ones.',
    }),
    priority: t.int({ description: 'Lower is tried earlier, 0 to 1,000,000. Default: 100.' }),
    weight: t.int({
      description:
        'Its share under the strategy WEIGHTED, relative to the others’, 0 to 1,000,000. 0: none at all. Default: 1.',
    }),
    metadata: t.field({ type: 'JSON', description: 'What callers want to keep with it. Default: `{}`.' }),
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
      description: 'How a target is picked. WEIGHTED needs a target with a weight. Default: FAILOVER.',
    }),
    isActive: t.boolean({ description: 'Whether clients can use it. Default: true.' }),
    targets: t.field({
      type: [RouteTargetInput],
      description: 'Where it sends, up to 50 targets. Without any it sends to the active provider.',
    }),
  }),
});

export const UpdateRoute = builder.inputType('UpdateRouteInput', {
  description:
    'Changes to a route. A field that is left out stays as it is, and so does one that is null, except `description`.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Its id, its slug or one of its aliases.' }),
    version: t.int({ description: 'The `version` that the change is based on. A stale one is refused. Default: any.' }),
    name: t.string({ description: 'The name for people, up to 100 characters.' }),
    slug: t.string({
      description:
        'What clients put in `model`. API keys that are limited to the old slug lose the route. The route `default` keeps its own.',
    }),
    description: t.string({ description: 'What it is for, up to 1,000 characters. Null: nothing is said.' }),
    aliases: t.stringList({ description: 'All of its other names for `model`, up to 20.' }),
    mode: t.field({ type: RouteModeEnum, description: 'Whether a hint picks the provider or model.' }),
    strategy: t.field({
      type: RouteStrategyEnum,
      description: 'How a target is picked. WEIGHTED needs a target with a weight.',
    }),
    isActive: t.boolean({ description: 'Whether clients can use it. The route `default` cannot be switched off.' }),
    targets: t.field({ type: [RouteTargetInput], description: 'All of its targets, up to 50.' }),
  }),
});
