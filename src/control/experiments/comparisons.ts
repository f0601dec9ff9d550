import { RouteNotFoundError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { pageArgs, pageComplexity, readPage } from '../schema/connections.ts';
import { outcome } from '../schema/result.ts';
import { LONGEST_ANSWER, LONGEST_NAME, LONGEST_NOTES } from './comparison-input.ts';
import { listComparisons } from './comparison-pages.ts';
import { ComparisonConnection, ComparisonType, JudgeEnum, WinnerEnum } from './comparison-type.ts';
import { recordComparison } from './record-comparison.ts';

const upTo = (limit: number) => `Up to ${limit.toLocaleString('en')} characters.`;

const RecordComparison = builder.inputType('RecordComparisonInput', {
  description: 'A judgement of two answers to one prompt.',
  fields: (t) => ({
    routeId: t.id({
      description: 'Id, slug or alias of the route that the answers came from. Default: from elsewhere.',
    }),
    variantA: t.id({ description: 'Id of the route’s target that gave the first answer. Default: another source.' }),
    variantB: t.id({ description: 'Id of the route’s target that gave the second answer. Default: another source.' }),
    prompt: t.string({ required: true, description: `What was asked. ${upTo(LONGEST_ANSWER)}` }),
    answerA: t.string({ required: true, description: `The first answer. ${upTo(LONGEST_ANSWER)}` }),
    answerB: t.string({ required: true, description: `The second answer. ${upTo(LONGEST_ANSWER)}` }),
    winner: t.field({ type: WinnerEnum, required: true, description: 'Which is the better one.' }),
    judge: t.field({ type: JudgeEnum, required: true, description: 'Who judged them.' }),
    judgeName: t.string({ description: `What the person or the model is called. ${upTo(LONGEST_NAME)}` }),
    scoreA: t.float({ description: 'Of the first answer, 0 to 100.' }),
    scoreB: t.float({ description: 'Of the second answer, 0 to 100.' }),
    notes: t.string({ description: `Why. ${upTo(LONGEST_NOTES)}` }),
  }),
});

const ComparisonFilterInput = builder.inputType('ComparisonFilter', {
  description: 'Which judgements are meant; all that is given must fit.',
  fields: (t) => ({
    routeId: t.id({ description: 'Id, slug or alias of the route; that of one that is gone by its id.' }),
    variant: t.id({ description: 'Id of a route’s target that gave one of the answers.' }),
    winner: t.field({ type: WinnerEnum, description: 'Which was the better one.' }),
    judge: t.field({ type: JudgeEnum, description: 'Who judged them.' }),
  }),
});

builder.queryField('comparisons', (t) =>
  t.field({
    type: ComparisonConnection,
    authScopes: { admin: true },
    description: 'The judgements that were recorded, newest first. Admins only.',
    complexity: pageComplexity,
    args: { filter: t.arg({ type: ComparisonFilterInput, description: 'Default: all.' }), ...pageArgs() },
    resolve: async (_root, { filter, ...page }, { services }) =>
      readPage(page, await listComparisons(services, filter ?? {})),
  }),
);

builder.mutationField('recordComparison', (t) =>
  t.field({
    type: ComparisonType,
    authScopes: { admin: true },
    description:
      'Records which of two answers a person or a model found better, with the prompt and both answers. `splitComparison` counts it for the variants that are named. Admins only.',
    args: { input: t.arg({ type: RecordComparison, required: true, description: 'The judgement.' }) },
    errors: outcome('comparison', 'The judgement as it was recorded.', ValidationError, RouteNotFoundError),
    resolve: (_root, { input }, { services, caller }) => recordComparison(services, caller, input),
  }),
);
