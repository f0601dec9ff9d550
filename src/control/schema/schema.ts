import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './scalars.ts';
import './errors.ts';
import '../accounts/accounts.ts';
import '../audit/audit.ts';
import '../budgets/budgets.ts';
import '../catalog/catalog.ts';
import '../completions/completions.ts';
import '../credits/credits.ts';
import '../experiments/experiments.ts';
import '../metrics/metrics.ts';
import '../providers/providers.ts';
import '../routes/routes.ts';
import '../usage/usage.ts';

/** What documentation browsers open with. */
const DESCRIPTION = `Signalbox: one server in front of every LLM provider.

Applications stream completions (\`completion\`, \`complete\`). Admins keep providers, models, routes, traffic splits and budgets, and watch the effect live (\`metricsUpdated\`, \`requestLogged\`). Sign in with \`logIn\`, or use an API key.

Mutations answer with a union: their success, or the failures to be expected, all of which have a \`code\` and a \`message\`. Errors of permission, limits and faults are in \`errors\`, with \`extensions.code\`.`;

/** The whole API, in the order it is written in. The rooms declare their part by being imported above. */
export function buildSchema(): GraphQLSchema {
  const schema = builder.toSchema({ sortSchema: false });
  schema.description = DESCRIPTION;
  return schema;
}
