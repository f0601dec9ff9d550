import { ConcurrencyLimit } from '../../platform/concurrency-limit.ts';
import { invalid } from '../../platform/errors.ts';
import type { Query, Span } from '../metrics/metrics.ts';
import { builder } from '../schema/builder.ts';
import type { Services } from '../schema/context.ts';
import { compareVariants, type MeasuredVariant, type VariantComparison } from './compare.ts';
import { askedSpan, spanFields } from './comparison-span.ts';
import { readJudgements } from './judgements.ts';
import { type Recommendation, recommend } from './recommend.ts';
import { SplitComparison } from './split-comparison-type.ts';
import { readVariantSamples } from './variant-samples.ts';
import { readVariantSums } from './variant-sums.ts';
import { type Experiment, readExperiment, type Variant } from './variants.ts';

/** A split with what its variants did in a span. */
export interface SplitComparisonView {
  span: Span;
  routeId: string;
  variants: readonly MeasuredVariant[];
  baseline: Variant | null;
  comparisons: readonly VariantComparison[];
  recommendation: Recommendation;
}

/** Of all who ask: whoever asks for much waits by themselves, and leaves connections to completions and changes. */
const statements = new ConcurrencyLimit(2);

const SplitComparisonInput = builder.inputType('SplitComparisonInput', {
  description: 'Which split, and when.',
  fields: (t) => ({
    routeId: t.id({ required: true, description: 'The route’s id, slug or alias.' }),
    ...spanFields(t),
    baseline: t.id({
      description: 'Id of the target that the others are compared with. Default: the first one of the route.',
    }),
  }),
});

builder.queryField('splitComparison', (t) =>
  t.field({
    type: SplitComparison,
    nullable: true,
    authScopes: { admin: true },
    description:
      'How the targets of a route do against each other, and what to do about it; null when there is no such route. Counts and costs are sums of the ledger. What needs single calls (percentiles, averages of time, differences) is computed from the newest 100,000 calls of each target, and from a million of all together, so that the price is bounded. Decide by a sample that was set beforehand: whoever looks again and again until something differs will find it by chance. Admins only.',
    args: { input: t.arg({ type: SplitComparisonInput, required: true, description: 'Which split, and when.' }) },
    resolve: async (_root, { input }, { services }) => {
      const span = askedSpan(input, new Date());
      const experiment = await readExperiment(services, input.routeId);
      return experiment && compareSplit(services, experiment, span, input.baseline ?? null);
    },
  }),
);

/**
 * Three statements, however many variants and requests there are.
 * @param baselineId null: the first variant
 * @throws ValidationError when the baseline is no target of the route.
 */
async function compareSplit(
  { pool }: Pick<Services, 'pool'>,
  { routeId, variants }: Experiment,
  span: Span,
  baselineId: string | null,
): Promise<SplitComparisonView> {
  const baseline = findBaseline(variants, baselineId);
  const query: Query = (sql, values) => statements.run(() => pool.query(sql, values));
  const ids = variants.map(({ id }) => id);
  const [sumsOf, samples, judgements] = await Promise.all([
    readVariantSums(query, span, ids),
    readVariantSamples(query, span, ids),
    readJudgements(query, span, routeId),
  ]);
  const measured = variants.flatMap((variant): MeasuredVariant[] => {
    const sample = samples.get(variant.id);
    return sample ? [{ variant, sums: sumsOf(variant.id), sample, judged: judgements.of(variant.id) }] : [];
  });
  const first = measured.find(({ variant }) => variant === baseline);
  const others = measured.filter((one) => one !== first);
  const against = (id: string) => judgements.between(id, baseline?.id ?? id);
  const comparisons = first ? compareVariants(first, others, against) : [];
  return { span, routeId, variants: measured, baseline, comparisons, recommendation: recommend(variants, comparisons) };
}

function findBaseline(variants: readonly Variant[], id: string | null): Variant | null {
  if (id === null) return variants[0] ?? null;
  const found = variants.find((variant) => variant.id === id.toLowerCase());
  if (!found) throw invalid('input.baseline', 'is not the id of a target of this route');
  return found;
}
