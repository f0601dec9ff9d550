import {
  type GraphQLError,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApiKey } from '../../../src/control/accounts/api-keys.ts';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { buildSchema } from '../../../src/control/schema/schema.ts';
import type { Caller } from '../../../src/gateway/admission/caller.ts';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';

/** Who may use each root field. A field that is missing here fails the test below. */
const ACCESS: Record<string, Scope> = {
  'Query.me': 'user',
  'Query.mySettings': 'user',
  'Query.apiKeys': 'user',
  'Query.provider': 'admin',
  'Query.providers': 'admin',
  'Query.providerKinds': 'public',
  'Query.providerKeys': 'admin',
  'Query.myProviderKeys': 'user',
  'Query.request': 'user',
  'Query.requests': 'user',
  'Query.metrics': 'user',
  'Query.model': 'public',
  'Query.models': 'public',
  'Query.budgets': 'user',
  'Query.budget': 'user',
  'Query.usageEvents': 'user',
  'Query.unpricedUsage': 'admin',
  'Query.credits': 'user',
  'Query.creditHistory': 'user',
  'Query.route': 'admin',
  'Query.routes': 'admin',
  'Query.explainRoute': 'admin',
  'Query.trafficSplit': 'admin',
  'Query.splitComparison': 'admin',
  'Query.costAnalysis': 'admin',
  'Query.comparisons': 'admin',
  'Mutation.logIn': 'public',
  'Mutation.refreshToken': 'public',
  'Mutation.updateMySettings': 'user',
  'Mutation.createApiKey': 'user',
  'Mutation.revokeApiKey': 'user',
  'Mutation.createProvider': 'admin',
  'Mutation.updateProvider': 'admin',
  'Mutation.setProviderKey': 'admin',
  'Mutation.activateProvider': 'admin',
  'Mutation.deleteProvider': 'admin',
  'Mutation.deleteProviderKey': 'admin',
  'Mutation.testProvider': 'admin',
  'Mutation.discoverModels': 'admin',
  'Mutation.testProviderKey': 'admin',
  'Mutation.setMyProviderKey': 'user',
  'Mutation.deleteMyProviderKey': 'user',
  'Mutation.setBudget': 'user',
  'Mutation.deleteBudget': 'user',
  'Mutation.grantCredits': 'admin',
  'Mutation.createModel': 'admin',
  'Mutation.updateModel': 'admin',
  'Mutation.deleteModel': 'admin',
  'Mutation.createRoute': 'admin',
  'Mutation.updateRoute': 'admin',
  'Mutation.deleteRoute': 'admin',
  'Mutation.selectRoute': 'admin',
  'Mutation.clearResponseCache': 'admin',
  'Mutation.setTrafficSplit': 'admin',
  'Mutation.recordComparison': 'admin',
  'Mutation.complete': 'completions',
  'Mutation.trackUsage': 'completions',
  'Mutation.repriceUsage': 'admin',
  'Subscription.completion': 'completions',
  'Subscription.metricsUpdated': 'user',
  'Subscription.configurationChanged': 'admin',
  'Subscription.providerHealthChanged': 'admin',
  'Subscription.requestLogged': 'user',
  'Subscription.budgetChanged': 'user',
};

type Scope = 'public' | 'completions' | 'user' | 'admin';
type Who = 'nobody' | 'a key' | 'a user' | 'an admin key of a user' | 'an admin' | 'an admin key';

const ALLOWED: Record<Scope, readonly Who[]> = {
  public: ['nobody', 'a key', 'a user', 'an admin key of a user', 'an admin', 'an admin key'],
  completions: ['a key', 'a user', 'an admin key of a user', 'an admin', 'an admin key'],
  user: ['a user', 'an admin key of a user', 'an admin', 'an admin key'],
  admin: ['an admin', 'an admin key'],
};

/** A denial takes a few milliseconds. */
const QUIET_MS = 500;

const schema = buildSchema();
const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()] as GraphQLObjectType[];
const fields = roots.flatMap((root) => Object.values(root.getFields()).map((field) => ({ root: root.name, field })));

let server: TestServer;
let credentials: Record<Who, Credential>;

beforeAll(async () => {
  server = await startServer();
  const { services } = server;
  const user = await changeAccounts(services, (tx, revision) =>
    tx.user.create({ data: { email: 'user@example.com', passwordHash: 'none', revision } }),
  );
  const admin = await services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
  const caller: Caller = { kind: 'USER', account: { ...admin }, expiresAt: Number.MAX_SAFE_INTEGER };
  const key = async (ownerId: string, isAdmin: boolean) => {
    const made = await createApiKey(services, caller, {
      ...{ name: 'test', ownerId, isAdmin, metadata: {} },
      ...{ allowedRoutes: [], rateLimitPerMinute: null, expiresAt: null },
    });
    return { apiKey: made.key };
  };
  credentials = {
    nobody: {},
    'a key': await key(admin.id, false),
    'a user': { token: await services.tokens.sign(user.id) },
    'an admin key of a user': await key(user.id, true),
    'an admin': { token: server.admin },
    'an admin key': { apiKey: server.apiKey },
  };
});
afterAll(() => server.close());

test('every root field is in the table, and nothing else is', () => {
  expect(fields.map(({ root, field }) => `${root}.${field.name}`).sort()).toEqual(Object.keys(ACCESS).sort());
});

for (const { root, field } of fields) {
  const scope = ACCESS[`${root}.${field.name}`] ?? 'admin';
  for (const who of ALLOWED.public) {
    const isAllowed = ALLOWED[scope].includes(who);
    test(`${who} ${isAllowed ? 'may' : 'may not'} use ${root}.${field.name}`, async () => {
      const before = await fingerprint();
      const { isDenied, codes } = await use(root, field, credentials[who]);
      expect(isDenied, codes.join()).toBe(!isAllowed);
      if (isAllowed) return;
      expect(codes).toEqual([who === 'nobody' ? 'UNAUTHENTICATED' : 'FORBIDDEN']);
      expect(await fingerprint()).toEqual(before);
    });
  }
}

test('a denied caller learns nothing about their input', async () => {
  const createKey = 'mutation { createApiKey(input: { name: "" }) { __typename } }';
  const { errors } = await server.query(createKey, {}, {});
  expect(errors.map(({ extensions }) => extensions.code)).toEqual(['UNAUTHENTICATED']);
  const allowed = await server.query<{ createApiKey: object }, object>(createKey);
  expect(allowed.data.createApiKey).toEqual({ __typename: 'ValidationError' });
});

/** Whatever a mutation would change. */
async function fingerprint() {
  const { rows } = await server.services.pool.query(
    `SELECT (SELECT version FROM configuration), (SELECT revision FROM accounts_head), (SELECT count(*) FROM api_keys),
            (SELECT count(*) FROM completions), (SELECT seq FROM event_head), (SELECT count(*) FROM budgets),
            (SELECT count(*) FROM user_provider_keys), (SELECT count(*) FROM comparisons),
            (SELECT seq FROM ledger_head), (SELECT count(*) FROM credit_grants)`,
  );
  return rows;
}

async function use(root: string, field: GraphQLField<unknown, unknown>, credential: Credential) {
  const given = field.args.filter(isRequiredArgument).map(({ name, type }) => `${name}: ${example(type)}`);
  const args = given.length > 0 ? `(${given.join(', ')})` : '';
  const selection = isLeafType(getNamedType(field.type)) ? '' : '{ __typename }';
  const document = `${root.toLowerCase()} { ${field.name}${args} ${selection} }`;
  const errors =
    root === 'Subscription'
      ? await firstErrors(document, credential)
      : (await server.query(document, {}, credential)).errors;
  const codes = errors.map(({ extensions }) => String(extensions?.code));
  return { codes, isDenied: codes.some((code) => code === 'UNAUTHENTICATED' || code === 'FORBIDDEN') };
}

/** The errors of a subscription's first event; none when it is quiet for a while, as one that may go on is. */
async function firstErrors(query: string, credential: Credential): Promise<readonly GraphQLError[]> {
  const client = server.ws(credential);
  const events = client.iterate({ query });
  const quiet = new Promise<null>((resolve) => setTimeout(resolve, QUIET_MS, null));
  const first = await Promise.race([events.next(), quiet]);
  await client.dispose();
  return first?.value?.errors ?? [];
}

/** A literal that the type accepts; whether the resolver does is another matter. */
function example(type: GraphQLInputType): string {
  if (isNonNullType(type)) return example(type.ofType);
  if (isListType(type)) return `[${example(type.ofType)}]`;
  if (isEnumType(type)) return type.getValues()[0]?.name ?? '';
  if (isInputObjectType(type)) {
    const required = Object.values(type.getFields()).filter(isRequiredInputField);
    return `{ ${required.map((field) => `${field.name}: ${example(field.type)}`).join(', ')} }`;
  }
  const literals: Record<string, string> = {
    Int: '1',
    Float: '1',
    Boolean: 'true',
    DateTime: '"2030-01-01T00:00:00Z"',
    USD: '"1"',
    JSON: '{}',
  };
  return literals[type.name] ?? '"example"';
}
