import type { ExplainedCandidate, Explanation } from '../../gateway/routing/explain.ts';
import { builder } from '../schema/builder.ts';

const PICODOLLARS = 1_000_000_000_000;

const RoutingCandidate = builder.objectRef<ExplainedCandidate>('RoutingCandidate').implement({
  description: 'What a decision made of one model of one target. Admins only.',
  fields: (t) => ({
    targetId: t.exposeID('targetId', {
      nullable: true,
      description: 'The route’s target. Null: it stands for a provider that the route does not name.',
    }),
    provider: t.exposeString('provider', { description: 'Slug of the provider.' }),
    model: t.exposeString('model', { description: 'Name of the model.' }),
    fallback: t.exposeString('fallback', {
      nullable: true,
      description: 'The fallback that it belongs to. Null: it belongs to the route itself, or to the model asked for.',
    }),
    position: t.exposeInt('position', {
      nullable: true,
      description: 'When it is tried, from 1. Null: it is not planned.',
    }),
    score: t.exposeFloat('score', {
      nullable: true,
      description: 'By the strategy, 0 to 100; higher is better. Null: no strategy scored it.',
    }),
    blendedPrice: t.field({
      type: 'USD',
      nullable: true,
      description: 'Per 1M tokens: three parts input, one part output. Null: unknown.',
      resolve: ({ price }) => (price === null ? null : BigInt(Math.round(price * PICODOLLARS))),
    }),
    latencyMs: t.int({
      nullable: true,
      description: 'The live median, in milliseconds. Null: unknown, or no strategy of the route goes by it.',
      resolve: ({ latencyMs }) => (latencyMs === null ? null : Math.round(latencyMs)),
    }),
    quality: t.exposeInt('quality', {
      nullable: true,
      description: '0 to 100. Null: unknown; it counted as the median of the others.',
    }),
    restingUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Until when all keys of its provider rested. Null: they did not.',
      resolve: ({ restingUntil }) => (restingUntil === null ? null : new Date(restingUntil)),
    }),
    isCircuitOpen: t.exposeBoolean('isCircuitOpen', {
      description: 'Whether it had failed so often that nothing was sent to it.',
    }),
    reason: t.exposeString('reason', { description: 'Why it was, or was not, picked, in a sentence.' }),
  }),
});

export const RoutingDecision = builder.objectRef<Explanation>('RoutingDecision').implement({
  description: 'Which of its candidates a request is sent to, in which order, and why. Admins only.',
  fields: (t) => ({
    decidedAt: t.field({
      type: 'DateTime',
      description: 'When it was made.',
      resolve: ({ decision }) => new Date(decision.at),
    }),
    turn: t.field({
      type: 'BigInt',
      nullable: true,
      description:
        'How often that server had picked from the same candidates before. Null: a sticky key decided, or no strategy of the route counts.',
      resolve: ({ decision }) => decision.turn,
    }),
    slot: t.int({
      nullable: true,
      description: 'The slot, 0 to 9,999, that the sticky key hashed to. Null: there was none.',
      resolve: ({ decision }) => decision.slot,
    }),
    plan: t.field({
      type: [RoutingCandidate],
      description: 'Those that are tried, in this order, until one answers.',
      resolve: ({ candidates, decision }) => decision.plan.flatMap((place) => candidates[place] ?? []),
    }),
    candidates: t.field({
      type: [RoutingCandidate],
      description: 'All of them, in the order of the configuration; those of fallbacks come last.',
      resolve: ({ candidates }) => [...candidates],
    }),
  }),
});
