import { readFileSync } from 'node:fs';
import {
  buildSchema,
  type GraphQLInputType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
} from 'graphql';

/** A document for one field of the API, with valid variables, and the places in them where something wrong can stand. */
export interface Target {
  field: string;
  document: string;
  /** Variables that are right for `path` and hold `value` there. */
  with(path: readonly Step[], value: unknown): Record<string, unknown>;
  paths: readonly (readonly Step[])[];
}

type Step = string | number;

export const schema: GraphQLSchema = buildSchema(
  readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'),
);

/** Every field of the roots that takes arguments. */
export function targets(): Target[] {
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
    ['subscription', schema.getSubscriptionType()],
  ] as const;
  return roots.flatMap(([operation, root]) =>
    Object.values(root?.getFields() ?? {})
      .filter(({ args }) => args.length > 0)
      .map((field): Target => {
        const types = Object.fromEntries(field.args.map(({ name, type }) => [name, type]));
        const declared = field.args.map(({ name, type }) => `$${name}: ${type}`).join(', ');
        const passed = field.args.map(({ name }) => `${name}: $${name}`).join(', ');
        return {
          field: field.name,
          document: `${operation}(${declared}) { ${field.name}(${passed}) { __typename ${SELECTIONS[field.name] ?? '... on Error { code message }'} } }`,
          with: (path, value) =>
            Object.fromEntries(
              Object.entries(types).flatMap(([name, type]) => {
                const isOnPath = path[0] === name;
                if (!isOnPath && !isNonNullType(type)) return [];
                return [[name, isOnPath ? place(type, path.slice(1), value) : plain(type)]];
              }),
            ),
          paths: Object.entries(types).flatMap(([name, type]) => pathsIn(type).map((path) => [name, ...path])),
        };
      }),
  );
}

const SELECTIONS: Record<string, string> = {
  apiKeys: 'nodes { id name metadata } totalCount pageInfo { endCursor }',
  requests: 'nodes { id tags { name value } errorMessage attempts { number } } totalCount',
  request: 'id status attempts { number }',
  requestLogged: 'id seq attempts { number }',
  provider: 'id slug models { nodes { name } totalCount }',
  providerKeys: 'id hint',
  route:
    'id slug scoreWeights { cost } versions { nodes { version changedBy { id } content } totalCount pageInfo { endCursor } } targets { models percentage provider { slug } }',
  explainRoute: 'requestId isReproduced decision { plan { provider model } }',
  trafficSplit: 'isSplit route { slug } targets { percentage target { id } }',
  splitComparison:
    'route { id } variants { id latencyP99Ms averageCost } comparisons { missing } recommendation { text }',
  costAnalysis: 'route { id } cost monthlyCost variants { id savings { to ofAll } }',
  comparisons: 'nodes { id prompt notes winner } totalCount pageInfo { endCursor }',
  models: 'nodes { id slug inputPrice } totalCount pageInfo { endCursor }',
  model: 'id slug inputPrice',
  budgets: 'id subject spent percentUsed',
  budget: 'id subject spent percentUsed',
  credits: 'userId granted balance',
  creditHistory: 'nodes { id amount note } totalCount pageInfo { endCursor }',
  metrics: 'from to summary { requests cost latencyP99Ms } providers { provider cost latencyP99Ms }',
  metricsUpdated: 'to summary { requests latencyP99Ms } providers { provider latencyP99Ms }',
  completion: '... on CompletionFailed { error { code message } }',
};

/** Every place in a value of this type, the value as a whole included. */
function pathsIn(type: GraphQLInputType): Step[][] {
  if (isNonNullType(type)) return pathsIn(type.ofType);
  if (isListType(type)) return [[], ...pathsIn(type.ofType).map((path) => [0, ...path])];
  if (!isInputObjectType(type)) return [[]];
  return [
    [],
    ...Object.values(type.getFields()).flatMap((field) => pathsIn(field.type).map((path) => [field.name, ...path])),
  ];
}

/** A right value with `wrong` at `path` in it. */
function place(type: GraphQLInputType, path: readonly Step[], wrong: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return wrong;
  if (isNonNullType(type)) return place(type.ofType, path, wrong);
  if (isListType(type)) return [place(type.ofType, rest, wrong)];
  if (!isInputObjectType(type)) throw new Error(`there is no ${step} in ${type}`);
  const field = type.getFields()[step];
  if (!field) throw new Error(`${type} has no ${step}`);
  const others = type.isOneOf ? {} : (plain(type) as object);
  return { ...others, [step]: place(field.type, rest, wrong) };
}

let made = 0;

/** Inputs that need more than the schema says to be right. */
const RIGHT: Record<string, () => object> = {
  MessageInput: () => ({ role: 'USER', content: 'Hi' }),
  CreateModelInput: () => ({ provider: 'cohere', name: `hostile-${++made}` }),
  UpdateModelInput: () => ({ id: 'sandbox/sandbox-small' }),
  CreateProviderInput: () => ({ name: `Hostile ${++made}`, baseUrl: 'http://127.0.0.1:9' }),
  SetProviderKeyInput: () => ({ provider: 'openai', key: 'key' }),
  TestProviderInput: () => ({ id: 'sandbox' }),
  CreateRouteInput: () => ({ name: `Hostile route ${++made}` }),
  UpdateRouteInput: () => ({ id: 'default' }),
  ScoreWeightsInput: () => ({ cost: 40, latency: 40, quality: 20 }),
  RouteTargetInput: () => ({ provider: 'sandbox' }),
  SelectRouteInput: () => ({ routeId: 'default' }),
  ClearResponseCacheInput: () => ({ routeId: 'default' }),
  SetTrafficSplitInput: () => ({ routeId: 'default' }),
  SplitComparisonInput: () => ({ routeId: 'default' }),
  CostAnalysisInput: () => ({ routeId: 'default' }),
  TrafficSplitTargetInput: () => ({ provider: 'sandbox', percentage: 100 }),
  UpdateProviderInput: () => ({ id: 'cohere', version: 1 }),
};

/** The smallest right value. */
function plain(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return plain(type.ofType);
  if (isListType(type)) return [plain(type.ofType)];
  if (isEnumType(type)) return type.getValues()[0]?.name;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const needed = type.isOneOf ? fields.slice(0, 1) : fields.filter((field) => isNonNullType(field.type));
    const values = Object.fromEntries(needed.map((field) => [field.name, plain(field.type)]));
    return { ...values, ...RIGHT[type.name]?.() };
  }
  const scalars: Record<string, unknown> = { Int: 1, Float: 1, Boolean: true, JSON: {}, USD: '1', ID: 'nobody' };
  return scalars[type.name] ?? (type.name === 'DateTime' ? '2099-01-01T00:00:00Z' : 'hostile@example.com');
}
