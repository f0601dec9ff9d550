import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import type { VariantComparison } from './compare.ts';
import { CostDifferenceType, DifferenceType, PreferenceType } from './difference-types.ts';
import type { Action, Recommendation } from './recommend.ts';
import { reportFields } from './report-fields.ts';
import type { Share } from './shares.ts';
import type { SplitComparisonView } from './split-comparison.ts';
import { VariantMetrics } from './variant-type.ts';

const FEW = 'Null: fewer than 30 such answers of either.';

const VariantComparisonType = builder.objectRef<VariantComparison>('VariantComparison').implement({
  description: 'A variant against the baseline.',
  fields: (t) => ({
    variant: t.id({ description: 'Id of the variant.', resolve: ({ variant }) => variant.id }),
    baseline: t.id({ description: 'Id of the baseline.', resolve: ({ baseline }) => baseline.id }),
    errorRate: t.expose('errorRate', {
      type: DifferenceType,
      nullable: true,
      description:
        'Of the error rates, from all calls that succeeded or failed; the interval is Newcombe’s. Null: one has none.',
    }),
    latencyMs: t.expose('latencyMs', {
      type: DifferenceType,
      nullable: true,
      description: `Of the average latency of an answer, in milliseconds, from the samples. ${FEW}`,
    }),
    timeToFirstTokenMs: t.expose('timeToFirstTokenMs', {
      type: DifferenceType,
      nullable: true,
      description: `Of the average time to the first token, in milliseconds, from the samples. ${FEW}`,
    }),
    cost: t.expose('cost', {
      type: CostDifferenceType,
      nullable: true,
      description: `Of the average cost of an answer that has a price, from the samples. ${FEW}`,
    }),
    judged: t.expose('judged', {
      type: PreferenceType,
      nullable: true,
      description: 'How their answers were judged against each other. Null: none was better than the other.',
    }),
    isSampleTooSmall: t.boolean({
      description: 'Whether there are too few requests to tell differences from chance; then none is significant.',
      resolve: ({ missing }) => missing !== null,
    }),
    missing: t.exposeString('missing', {
      nullable: true,
      description: 'What it takes to tell, in a sentence. Null: nothing.',
    }),
  }),
});

const ActionEnum = enumOf<Action>('RecommendedAction', 'What to do with a split.', {
  SHIFT: 'Give the winner more of the requests.',
  KEEP: 'Leave it as it is.',
  WAIT: 'Leave it as it is until there are more requests.',
});

const RecommendedShare = builder.objectRef<Share>('RecommendedShare').implement({
  description: 'What share a variant should get.',
  fields: (t) => ({
    variant: t.id({ description: 'Id of the variant.', resolve: ({ variant }) => variant.id }),
    percentage: t.exposeInt('percentage', { description: 'Whole percent of the route’s requests.' }),
  }),
});

const RecommendationType = builder.objectRef<Recommendation>('SplitRecommendation').implement({
  description:
    'What the numbers speak for. A variant that is better in errors, judgements, cost or speed and worse in none should get 80%; as long as 2 points more failures are not ruled out, it goes half the way there.',
  fields: (t) => ({
    action: t.expose('action', { type: ActionEnum, description: 'What to do.' }),
    text: t.exposeString('text', {
      description:
        'Why, in words and numbers: `Compared with A (openai), B (groq) is 34% cheaper (p = 0.003), at the same error rate (−0.4 to +0.6 points). So shift 80% of the requests to B.`',
    }),
    winner: t.id({
      nullable: true,
      description: 'Id of the variant to shift requests to. Null: none.',
      resolve: ({ winner }) => winner?.id,
    }),
    percentages: t.field({
      type: [RecommendedShare],
      description: 'All variants as `setTrafficSplit` would share out the requests; empty unless the action is SHIFT.',
      resolve: ({ shares }) => [...shares],
    }),
  }),
});

export const SplitComparison = builder.objectRef<SplitComparisonView>('SplitComparison').implement({
  description: 'How the targets of a route did against each other in a span of time. Admins only.',
  fields: (t) => ({
    ...reportFields(t),
    variants: t.field({
      type: [VariantMetrics],
      description: 'The targets of the route, in the order of their priority.',
      resolve: ({ variants }) => [...variants],
    }),
    baseline: t.id({
      nullable: true,
      description: 'Id of the variant that the others are compared with. Null: the route has no targets.',
      resolve: ({ baseline }) => baseline?.id,
    }),
    comparisons: t.field({
      type: [VariantComparisonType],
      description: 'Each other variant against the baseline.',
      resolve: ({ comparisons }) => [...comparisons],
    }),
    recommendation: t.expose('recommendation', { type: RecommendationType, description: 'What to do.' }),
  }),
});
