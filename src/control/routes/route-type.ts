import { DEFAULT_ROUTE } from '../../gateway/routing/resolve.ts';
import type { Snapshot } from '../../gateway/snapshot/snapshot.ts';
import { builder } from '../schema/builder.ts';
import { pageArgs, pageComplexity } from '../schema/connections.ts';
import { listComplexity } from '../schema/list-complexity.ts';
import { IN_ORDER } from '../schema/route-versions.ts';
import { RefusalPolicyEnum, RestartPolicyEnum, RouteModeEnum, RouteStrategyEnum, StickyKeyEnum } from './enums.ts';
import { RouteState } from './state-type.ts';
import { RouteVersionConnection } from './version-type.ts';
import { routeVersionsPage } from './versions.ts';

interface Scores {
  cost: number;
  latency: number;
  quality: number;
}

const ScoreWeights = builder.objectRef<Scores>('ScoreWeights').implement({
  description: 'How much each thing counts in the score of a target under the strategy CUSTOM; the sum is 100.',
  fields: (t) => ({
    cost: t.exposeInt('cost', { description: 'The blended price, in percent.' }),
    latency: t.exposeInt('latency', { description: 'The live median latency, in percent.' }),
    quality: t.exposeInt('quality', { description: 'The quality of the model, in percent.' }),
  }),
});

export const Route = builder.prismaObject('Route', {
  description: 'A named virtual model: clients put its slug or an alias in `model`. Admins only.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    slug: t.exposeString('slug', { description: 'Its name in `model`.' }),
    name: t.exposeString('name', { description: 'The name for people.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for. Null: not said.' }),
    aliases: t.exposeStringList('aliases', { description: 'Its other names in `model`.' }),
    mode: t.expose('mode', { type: RouteModeEnum, description: 'Whether a hint picks the provider or model.' }),
    strategy: t.expose('strategy', {
      type: RouteStrategyEnum,
      description: 'How a target is picked. Without targets it makes no difference.',
    }),
    scoreWeights: t.field({
      type: ScoreWeights,
      nullable: true,
      description: 'What counts how much under the strategy CUSTOM. Null under the others.',
      select: { costWeight: true, latencyWeight: true, qualityWeight: true },
      resolve: ({ costWeight, latencyWeight, qualityWeight }) =>
        costWeight === null || latencyWeight === null || qualityWeight === null
          ? null
          : { cost: costWeight, latency: latencyWeight, quality: qualityWeight },
    }),
    allowsPowerLevel: t.exposeBoolean('allowsPowerLevel', {
      description: 'Whether the power level of a request, or of its user, narrows the targets.',
    }),
    stickyBy: t.expose('stickyBy', {
      type: StickyKeyEnum,
      nullable: true,
      description: 'Which requests always go to the same target under the strategy WEIGHTED. Null: none.',
    }),
    maxRetries: t.exposeInt('maxRetries', { description: 'Most upstream calls after the first one that failed.' }),
    totalTimeoutMs: t.exposeInt('totalTimeoutMs', {
      nullable: true,
      description:
        'Longest time of a completion, all its upstream calls together, in milliseconds. Null: no limit but that of each provider.',
    }),
    firstTokenTimeoutMs: t.exposeInt('firstTokenTimeoutMs', {
      nullable: true,
      description:
        'Longest time of an upstream call until its first token, in milliseconds. Null: the server’s setting.',
    }),
    stallTimeoutMs: t.exposeInt('stallTimeoutMs', {
      nullable: true,
      description: 'Longest silence in a stream that has begun, in milliseconds. Null: the server’s setting.',
    }),
    fallbacks: t.exposeStringList('fallbacks', {
      description:
        'What is tried after all of its targets, in this order: routes, `provider/model` or models. What cannot be used is skipped, and a route’s own fallbacks are not followed.',
    }),
    preferredRegions: t.exposeStringList('preferredRegions', {
      description: 'Targets whose provider has one of these regions come first, in this order.',
    }),
    restartPolicy: t.expose('restartPolicy', {
      type: RestartPolicyEnum,
      description: 'What happens when an answer that has begun breaks off.',
    }),
    refusalPolicy: t.expose('refusalPolicy', {
      type: RefusalPolicyEnum,
      description: 'What happens when a provider refuses a request for its content.',
    }),
    cacheTtlSeconds: t.exposeInt('cacheTtlSeconds', {
      nullable: true,
      description:
        'How long a whole answer serves equal requests of the same caller, in seconds; such an answer costs nothing. Null: not at all.',
    }),
    config: t.expose('config', { type: 'JSON', description: 'What admins keep with it.' }),
    isActive: t.exposeBoolean('isActive', { description: 'Whether clients can use it.' }),
    isDefault: t.boolean({
      description: 'Whether it is the one for requests that name no model.',
      select: { slug: true },
      resolve: ({ slug }) => slug === DEFAULT_ROUTE,
    }),
    version: t.exposeInt('version', { description: 'Goes up with each change; give it to `updateRoute`.' }),
    state: t.field({
      type: RouteState,
      nullable: true,
      description: 'How it does, as the server that answers sees it. Null: it is switched off.',
      select: { slug: true },
      resolve: ({ id, slug }, _args, { services, caller }) => {
        const route = services.snapshots.current.routes.get(slug);
        return route?.id === id ? services.gateway.routeState(route, caller) : null;
      },
    }),
    versions: t.field({
      type: RouteVersionConnection,
      description: 'How it was after each of its changes, newest first. The last 1,000 are kept.',
      args: pageArgs(),
      complexity: pageComplexity,
      resolve: ({ id }, page, context) => routeVersionsPage(context, id, page),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was changed last.' }),
    targets: t.relation('targets', {
      description:
        'Where it sends, in the order of their priority. Empty: to the active provider, then to the others by priority.',
      complexity: listComplexity(targetsOfRoute),
      query: IN_ORDER,
    }),
  }),
});

/** How many a route has on average. */
function targetsOfRoute({ routes }: Snapshot): number {
  const all = [...new Set(routes.values())];
  return all.reduce((sum, { targets }) => sum + targets.length, 0) / Math.max(1, all.length);
}
