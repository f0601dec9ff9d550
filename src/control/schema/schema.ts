import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './scalars.ts';
import './errors.ts';
import '../accounts/accounts.ts';
import '../audit/audit.ts';
import '../budgets/budgets.ts';
import '../catalog/catalog.ts';
import '../completions/completions.ts';
import '../experiments/experiments.ts';
import '../metrics/metrics.ts';
import '../providers/providers.ts';
import '../routes/routes.ts';

/** The whole API, in the order it is written in. The rooms declare their part by being imported above. */
export function buildSchema(): GraphQLSchema {
  return builder.toSchema({ sortSchema: false });
}
