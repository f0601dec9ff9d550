import { execute, parse } from 'graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { hashPassword } from '../../../src/control/accounts/passwords.ts';
import { buildSchema } from '../../../src/control/schema/schema.ts';
import type { Account } from '../../../src/gateway/admission/caller.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { graphql } from '../../generated/gql.ts';
import type { ApiKeysQuery, ApiKeysQueryVariables } from '../../generated/graphql.ts';
import { ADMIN, type Answer, startServer, type TestServer } from '../../kit/server.ts';

let server: TestServer;
/** The token of a user who is no admin. */
let user: string;

beforeAll(async () => {
  server = await startServer();
  user = await createUser('user@example.com', 'a password of eight');
});
afterAll(() => server.close());

const LogIn = graphql(`
  mutation LogIn($input: LogInInput!) {
    logIn(input: $input) {
      __typename
      ... on LogInSuccess { token tokenType expiresIn user { email role tier } }
      ... on Error { code message }
      ... on ValidationError { issues { path message } }
      ... on RateLimitedError { retryAfterSeconds }
    }
  }
`);

const RefreshToken = graphql(`
  mutation RefreshToken($input: RefreshTokenInput!) {
    refreshToken(input: $input) {
      __typename
      ... on RefreshTokenSuccess { token user { email } }
      ... on Error { code }
    }
  }
`);

const Me = graphql(`query Me { me { id email role isActive } }`);

const CreateApiKey = graphql(`
  mutation CreateApiKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      __typename
      ... on CreateApiKeySuccess {
        key
        apiKey { id name hint isAdmin allowedRoutes rateLimitPerMinute metadata expiresAt revokedAt owner { email } }
      }
      ... on Error { code message }
      ... on ValidationError { issues { path message } }
    }
  }
`);

const RevokeApiKey = graphql(`
  mutation RevokeApiKey($id: ID!) {
    revokeApiKey(id: $id) {
      __typename
      ... on RevokeApiKeySuccess { apiKey { id revokedAt } }
      ... on Error { code message }
    }
  }
`);

const ApiKeys = graphql(`
  query ApiKeys($first: Int, $after: String, $ownerId: ID, $all: Boolean) {
    apiKeys(first: $first, after: $after, ownerId: $ownerId, all: $all) {
      nodes { id name hint owner { email } }
      pageInfo { hasNextPage hasPreviousPage endCursor }
    }
  }
`);

async function createUser(email: string, password: string): Promise<string> {
  const passwordHash = await hashPassword(password);
  const { id } = await changeAccounts(server.services, (tx, revision) =>
    tx.user.create({ data: { email, passwordHash, revision } }),
  );
  return server.services.tokens.sign(id);
}

async function createKey(input: Record<string, unknown>, token: string): Promise<{ id: string; key: string }> {
  const { data } = await server.query(CreateApiKey, { input: { name: 'test', ...input } }, { token });
  if (data.createApiKey.__typename !== 'CreateApiKeySuccess') throw new Error(JSON.stringify(data));
  return { id: data.createApiKey.apiKey.id, key: data.createApiKey.key };
}

test('the admin signs in, and the token says who they are', async () => {
  const { data } = await server.query(LogIn, { input: { ...ADMIN, email: ' Admin@Signalbox.LOCAL ' } }, {});
  expect(data.logIn).toMatchObject({
    __typename: 'LogInSuccess',
    tokenType: 'Bearer',
    expiresIn: 86_400,
    user: { email: ADMIN.email, role: 'ADMIN', tier: expect.any(String) },
  });
  const token = data.logIn.__typename === 'LogInSuccess' ? data.logIn.token : '';
  const me = await server.query(Me, {}, { token });
  expect(me.data.me).toMatchObject({ email: ADMIN.email, role: 'ADMIN', isActive: true });
});

test('a wrong password and an unknown address get the same answer in about the same time', async () => {
  const attempt = async (email: string) => {
    const startedAt = performance.now();
    const { data } = await server.query(LogIn, { input: { email, password: 'wrong password' } }, {});
    return { answer: data.logIn, ms: performance.now() - startedAt };
  };
  await attempt('warm-up@example.com');
  const wrong = await attempt(ADMIN.email);
  const unknown = await attempt('nobody@example.com');
  expect(wrong.answer).toMatchObject({ __typename: 'AuthenticationError', code: 'UNAUTHENTICATED' });
  expect(unknown.answer).toEqual(wrong.answer);
  // Hashing takes far longer than everything else, so leaving it out would show.
  expect(unknown.ms).toBeGreaterThan(wrong.ms / 3);
});

test('a short password is a validation error that names the field', async () => {
  const { data } = await server.query(LogIn, { input: { email: 'not an address', password: 'short' } }, {});
  expect(data.logIn).toMatchObject({
    __typename: 'ValidationError',
    issues: [
      { path: 'email', message: 'must be an e-mail address' },
      { path: 'password', message: 'must have at least 8 characters' },
    ],
  });
});

test('a token is exchanged for a fresh one, but not a forged one', async () => {
  const { data } = await server.query(RefreshToken, { input: { token: user } }, {});
  expect(data.refreshToken).toMatchObject({ __typename: 'RefreshTokenSuccess', user: { email: 'user@example.com' } });
  const forged = await server.query(RefreshToken, { input: { token: `${user.slice(0, -4)}AAAA` } }, {});
  expect(forged.data.refreshToken).toMatchObject({ __typename: 'AuthenticationError', code: 'UNAUTHENTICATED' });
});

test('a sign-in of more than 30 days ago is not refreshed', async () => {
  const { id } = await server.services.prisma.user.findUniqueOrThrow({ where: { email: 'user@example.com' } });
  const token = await server.services.tokens.sign(id, Math.floor(Date.now() / 1000) - 31 * 24 * 3600);
  const { data } = await server.query(RefreshToken, { input: { token } }, {});
  expect(data.refreshToken.__typename).toBe('AuthenticationError');
});

test('an account that was switched off is refused at once, with its token and at its next sign-in', async () => {
  const token = await createUser('leaver@example.com', 'a password of eight');
  expect((await server.query(Me, {}, { token })).data.me?.email).toBe('leaver@example.com');
  await changeAccounts(server.services, (tx, revision) =>
    tx.user.update({ where: { email: 'leaver@example.com' }, data: { isActive: false, revision } }),
  );
  const refused = await server.query(Me, {}, { token });
  expect(refused.status).toBe(401);
  const logIn = await server.query(
    LogIn,
    { input: { email: 'leaver@example.com', password: 'a password of eight' } },
    {},
  );
  expect(logIn.data.logIn.__typename).toBe('AuthenticationError');
});

test('a key is shown once, stored hashed, and works as soon as it is there', async () => {
  const input = {
    name: 'Reports',
    allowedRoutes: ['default'],
    rateLimitPerMinute: 77,
    metadata: { team: 'finance' },
    expiresAt: '2999-01-01T00:00:00.000Z',
  };
  const { data } = await server.query(CreateApiKey, { input }, { token: user });
  const created = data.createApiKey;
  if (created.__typename !== 'CreateApiKeySuccess') throw new Error(JSON.stringify(created));
  expect(created.apiKey).toMatchObject({
    ...input,
    isAdmin: false,
    revokedAt: null,
    owner: { email: 'user@example.com' },
  });
  expect(created.key).toMatch(/^sbx_[\w-]{43}$/);
  expect(created.apiKey.hint).toBe(`sbx_…${created.key.slice(-4)}`);
  const used = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${created.key}` } });
  expect(used.status).toBe(200);
  expect(used.headers.get('x-ratelimit-limit')).toBe('77');
  const { rows } = await server.services.pool.query('SELECT api_keys::text AS row FROM api_keys');
  expect(JSON.stringify(rows)).not.toContain(created.key);
});

test('wrong inputs of a key are all told at once', async () => {
  const input = { name: ' ', rateLimitPerMinute: 0, expiresAt: '2001-01-01T00:00:00Z', metadata: [1] };
  const { data } = await server.query(CreateApiKey, { input });
  expect(data.createApiKey).toMatchObject({ __typename: 'ValidationError', code: 'VALIDATION' });
  const issues = data.createApiKey.__typename === 'ValidationError' ? data.createApiKey.issues : [];
  expect(issues.map(({ path }) => path).sort()).toEqual(['expiresAt', 'metadata', 'name', 'rateLimitPerMinute']);
});

test('only admins create admin keys and keys for others, and nothing is written when it is refused', async () => {
  const { id: adminId } = await server.services.prisma.user.findUniqueOrThrow({ where: { email: ADMIN.email } });
  const before = await server.services.prisma.apiKey.count();
  for (const input of [{ isAdmin: true }, { ownerId: adminId }]) {
    const { data } = await server.query(CreateApiKey, { input: { name: 'x', ...input } }, { token: user });
    expect(data.createApiKey).toMatchObject({ __typename: 'ForbiddenError', code: 'FORBIDDEN' });
  }
  for (const ownerId of ['nobody', '0190a0a0-0000-7000-8000-000000000000']) {
    const { data } = await server.query(CreateApiKey, { input: { name: 'x', ownerId } });
    expect(data.createApiKey.__typename).toBe('NotFoundError');
  }
  expect(await server.services.prisma.apiKey.count()).toBe(before);
});

test('an admin key uses the control plane, another key does not', async () => {
  const admin = await createKey({ isAdmin: true }, server.admin);
  const plain = await createKey({}, server.admin);
  expect((await server.query(ApiKeys, {}, { apiKey: admin.key })).data.apiKeys.nodes.length).toBeGreaterThan(0);
  const refused = await server.query(ApiKeys, {}, { apiKey: plain.key });
  expect(refused.data).toBeNull();
  expect(refused.errors[0]?.extensions.code).toBe('FORBIDDEN');
});

test('a revoked key is refused as soon as the mutation answers, and can be revoked twice', async () => {
  const { id, key } = await createKey({}, user);
  expect((await server.query(Me, {}, { apiKey: key })).status).toBe(200);
  const first = await server.query(RevokeApiKey, { id }, { token: user });
  expect(first.data.revokeApiKey).toMatchObject({ __typename: 'RevokeApiKeySuccess', apiKey: { id } });
  const refused = await server.query(Me, {}, { apiKey: key });
  expect(refused.status).toBe(401);
  expect(refused.errors[0]).toMatchObject({
    message: 'This API key has been revoked.',
    extensions: { code: 'UNAUTHENTICATED' },
  });
  const second = await server.query(RevokeApiKey, { id }, { token: user });
  expect(second.data).toEqual(first.data);
});

test('nobody but its owner and admins revokes a key', async () => {
  const { id, key } = await createKey({}, server.admin);
  for (const wrong of [id, 'not an id', '0190a0a0-0000-7000-8000-000000000000']) {
    const { data } = await server.query(RevokeApiKey, { id: wrong }, { token: user });
    expect(data.revokeApiKey).toMatchObject({ __typename: 'NotFoundError', code: 'NOT_FOUND' });
  }
  expect((await server.query(Me, {}, { apiKey: key })).status).toBe(200);
});

test('keys are listed newest first in pages that neither skip nor repeat, also when the cursor’s key is gone', async () => {
  const token = await createUser('pages@example.com', 'a password of eight');
  const made: string[] = [];
  for (let number = 0; number < 5; number += 1) made.unshift((await createKey({}, token)).id);
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const page: Answer<ApiKeysQuery> = await server.query(ApiKeys, { first: 2, after }, { token });
    const { data } = page;
    const ids = data.apiKeys.nodes.map(({ id }) => id);
    seen.push(...ids);
    after = data.apiKeys.pageInfo.hasNextPage ? (data.apiKeys.pageInfo.endCursor ?? null) : null;
    await server.services.prisma.apiKey.deleteMany({ where: { id: ids.at(-1) as string } });
  } while (after);
  expect(seen).toEqual(made);
});

test('a user sees their own keys; an admin those of anybody', async () => {
  const { id: ownerId } = await server.services.prisma.user.findUniqueOrThrow({ where: { email: 'user@example.com' } });
  const owners = async (variables: ApiKeysQueryVariables, token: string) => {
    const { data, errors } = await server.query(ApiKeys, variables, { token });
    return errors[0]?.extensions.code ?? [...new Set(data.apiKeys.nodes.map(({ owner }) => owner.email))].sort();
  };
  expect(await owners({}, user)).toEqual(['user@example.com']);
  expect(await owners({ ownerId }, user)).toEqual(['user@example.com']);
  expect(await owners({ all: true }, user)).toBe('FORBIDDEN');
  expect(await owners({ ownerId }, server.admin)).toEqual(['user@example.com']);
  expect(await owners({ ownerId: 'nonsense' }, server.admin)).toEqual([]);
  expect(await owners({ all: true }, server.admin)).toContain('user@example.com');
  expect(await owners({ all: true }, server.admin)).toContain(ADMIN.email);
});

test('a page costs two statements whatever its size, and one more for the count', async () => {
  const statements: string[] = [];
  const prisma = createPrisma(server.connection, 2, (sql) => statements.push(sql));
  const account = (await server.services.accounts.account(
    (
      await prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } })
    ).id,
  )) as Account;
  const count = async (source: string) => {
    statements.length = 0;
    const result = await execute({
      schema: buildSchema(),
      document: parse(source),
      contextValue: {
        services: { ...server.services, prisma },
        caller: { kind: 'USER', account, expiresAt: Infinity },
      },
    });
    expect(result.errors).toBeUndefined();
    return statements.length;
  };
  await createKey({}, server.admin);
  await createKey({}, user);
  expect(await count('{ apiKeys(all: true, first: 1) { nodes { id owner { email } } } }')).toBe(2);
  expect(await count('{ apiKeys(all: true) { nodes { id owner { email } } edges { node { owner { name } } } } }')).toBe(
    2,
  );
  expect(await count('{ apiKeys(all: true) { totalCount nodes { id owner { email } } } }')).toBe(3);
  await prisma.$disconnect();
});
