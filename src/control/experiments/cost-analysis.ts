import { builder } from '../schema/builder.ts';
import { askedSpan, spanFields } from './comparison-span.ts';
import { CostAnalysis } from './cost-analysis-type.ts';
import { costsOf } from './costs.ts';
import { readVariantSums } from './variant-sums.ts';
import { readExperiment } from './variants.ts';

const CostAnalysisInput = builder.inputType('CostAnalysisInput', {
  description: 'Which route, and when.',
  fields: (t) => ({
    routeId: t.id({ required: true, description: 'The route’s id, slug or alias.' }),
    ...spanFields(t),
  }),
});

builder.queryField('costAnalysis', (t) =>
  t.field({
    type: CostAnalysis,
    nullable: true,
    authScopes: { admin: true },
    description:
      'What the targets of a route cost, what they would in 30 days at the present volume, and what moving requests would save; null when there is no such route. Sums of the ledger. Admins only.',
    args: { input: t.arg({ type: CostAnalysisInput, required: true, description: 'Which route, and when.' }) },
    resolve: async (_root, { input }, { services }) => {
      const now = new Date();
      const span = askedSpan(input, now);
      const experiment = await readExperiment(services, input.routeId);
      if (!experiment) return null;
      const { routeId, variants } = experiment;
      const sumsOf = await readVariantSums(
        (sql, values) => services.pool.query(sql, values),
        span,
        variants.map(({ id }) => id),
      );
      const summed = variants.map((variant) => [variant, sumsOf(variant.id)] as const);
      return { routeId, span, ...costsOf(summed, span, now) };
    },
  }),
);
