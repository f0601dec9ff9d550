import { type Picodollars, picodollars } from '../../platform/money.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import type { Difference, Preference, Test } from './compare.ts';

const TestEnum = enumOf<Test>('StatisticalTest', 'How a p-value was computed; all are two-sided.', {
  TWO_PROPORTION_Z: 'The pooled z-test of two shares.',
  FISHER_EXACT: 'Fisher’s exact test of two shares: fewer than five failures or successes are to be expected of one.',
  WELCH_T: 'Welch’s t-test of two means, whose variances need not be equal.',
});

const P_VALUE = 'How likely a difference at least as large is by chance alone, 0 to 1.';
const ADJUSTED =
  'The p-value adjusted for this measure of all variants being looked at together (Holm); the same with two variants.';
const SIGNIFICANT = 'Whether the adjusted p-value is below 0.05, and there is enough to go by.';
const RELATIVE = 'The difference as a share of the baseline’s: -0.34 is 34% less. Null: that is 0.';

export const DifferenceType = builder.objectRef<Difference>('Difference').implement({
  description: 'How much a variant differs from the baseline, with a 95% confidence interval. Positive: it has more.',
  fields: (t) => ({
    difference: t.exposeFloat('difference', { description: 'The variant’s less the baseline’s.' }),
    low: t.exposeFloat('low', { description: 'The lower end of the interval.' }),
    high: t.exposeFloat('high', { description: 'The upper end of the interval.' }),
    relative: t.exposeFloat('relative', { nullable: true, description: RELATIVE }),
    pValue: t.exposeFloat('pValue', { description: P_VALUE }),
    adjustedPValue: t.exposeFloat('adjustedPValue', { description: ADJUSTED }),
    isSignificant: t.exposeBoolean('isSignificant', { description: SIGNIFICANT }),
    test: t.expose('test', { type: TestEnum, description: 'How the p-value was computed.' }),
  }),
});

export const CostDifferenceType = builder.objectRef<Difference>('CostDifference').implement({
  description:
    'How much the cost of an answer differs from the baseline’s, with a 95% confidence interval. Positive: it is dearer.',
  fields: (t) => ({
    difference: t.field({
      type: 'USD',
      description: 'The variant’s less the baseline’s.',
      resolve: money('difference'),
    }),
    low: t.field({ type: 'USD', description: 'The lower end of the interval.', resolve: money('low') }),
    high: t.field({ type: 'USD', description: 'The upper end of the interval.', resolve: money('high') }),
    relative: t.exposeFloat('relative', { nullable: true, description: RELATIVE }),
    pValue: t.exposeFloat('pValue', { description: P_VALUE }),
    adjustedPValue: t.exposeFloat('adjustedPValue', { description: ADJUSTED }),
    isSignificant: t.exposeBoolean('isSignificant', { description: SIGNIFICANT }),
    test: t.expose('test', { type: TestEnum, description: 'How the p-value was computed.' }),
  }),
});

/** Of averages, which are no whole picodollars. */
function money(member: 'difference' | 'low' | 'high') {
  return (of: Difference): Picodollars => picodollars(BigInt(Math.round(of[member])));
}

export const PreferenceType = builder.objectRef<Preference>('Preference').implement({
  description: 'How a variant’s answers were judged against the baseline’s, by `recordComparison`.',
  fields: (t) => ({
    wins: t.exposeInt('wins', { description: 'How often the variant’s answer was the better one.' }),
    losses: t.exposeInt('losses', { description: 'How often the baseline’s was.' }),
    ties: t.exposeInt('ties', { description: 'How often they were as good.' }),
    winRate: t.exposeFloat('winRate', { description: 'The share of the wins among wins and losses, 0 to 1.' }),
    low: t.exposeFloat('low', { description: 'The lower end of that share’s 95% interval (Wilson).' }),
    high: t.exposeFloat('high', { description: 'The upper end of that share’s 95% interval.' }),
    pValue: t.exposeFloat('pValue', { description: `${P_VALUE} The exact sign test; ties do not count.` }),
    adjustedPValue: t.exposeFloat('adjustedPValue', { description: ADJUSTED }),
    isSignificant: t.exposeBoolean('isSignificant', {
      description: 'Whether the adjusted p-value is below 0.05, with at least 10 wins and losses.',
    }),
  }),
});
