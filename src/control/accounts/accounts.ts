import {
  AuthenticationError,
  ForbiddenError,
  NotFoundError,
  RateLimitedError,
  ValidationError,
} from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { pageArgs, pageComplexity, queryOfNodes, readPage } from '../schema/connections.ts';
import { directOutcome, outcome } from '../schema/result.ts';
import { type ApiKeyQuery, createApiKey, listApiKeys, revokeApiKey } from './api-keys.ts';
import { CreateApiKey, LogIn, RefreshToken } from './input-types.ts';
import { logIn, refreshToken, type SignIn } from './sign-in.ts';
import './settings.ts';
import { ApiKey, ApiKeyConnection, User } from './types.ts';

export { changeAccounts } from './change-accounts.ts';
export { findUser, isNameOf } from './find-user.ts';
export { hashPassword } from './passwords.ts';
export { User } from './types.ts';

/** The success of a mutation that signs somebody in. */
function signInSuccess(name: string) {
  return builder.objectRef<SignIn>(name).implement({
    description: 'Somebody is signed in. Send the token as `Authorization: Bearer <token>`.',
    fields: (t) => ({
      token: t.exposeString('token', { description: 'The token, a JWT.' }),
      tokenType: t.string({ description: 'Always `Bearer`.', resolve: () => 'Bearer' }),
      expiresIn: t.exposeInt('expiresIn', { description: 'Seconds it is valid.' }),
      user: t.field({ type: User, description: 'Who is signed in.', resolve: ({ user }) => user }),
    }),
  });
}

const CreateApiKeySuccess = builder
  .objectRef<Awaited<ReturnType<typeof createApiKey>>>('CreateApiKeySuccess')
  .implement({
    description: 'The key was created.',
    fields: (t) => ({
      key: t.exposeString('key', { description: 'The key itself. It is shown here once and never again.' }),
      apiKey: t.field({ type: ApiKey, description: 'What is kept of it.', resolve: ({ apiKey }) => apiKey }),
    }),
  });

builder.queryFields((t) => ({
  me: t.prismaField({
    type: User,
    nullable: true,
    authScopes: { user: true },
    description: 'Who is asking: the user who is signed in, or the owner of the admin API key.',
    resolve: (query, _root, _args, { services, caller }) =>
      caller.kind === 'ANONYMOUS'
        ? null
        : services.prisma.user.findUnique({ ...query, where: { id: caller.account.id } }),
  }),
  apiKeys: t.field({
    type: ApiKeyConnection,
    authScopes: { user: true },
    description: 'API keys, newest first: one’s own. Admins may ask for those of a user, or for all.',
    args: {
      ownerId: t.arg.id({ description: 'Those of this user. Admins only.' }),
      all: t.arg.boolean({ defaultValue: false, description: 'Those of all users. Admins only.' }),
      ...pageArgs(),
    },
    complexity: pageComplexity,
    resolve: (_root, { ownerId = null, all, ...page }, context, info) => {
      const whose = { ownerId, all: all ?? false };
      const query = queryOfNodes<ApiKeyQuery>(context, info);
      return readPage(page, listApiKeys(context.services, context.caller, whose, query));
    },
  }),
}));

builder.mutationFields((t) => ({
  logIn: t.field({
    type: signInSuccess('LogInSuccess'),
    authScopes: { public: true },
    description: 'Signs in with e-mail address and password. 20 failures a minute from one address.',
    args: { input: t.arg({ type: LogIn, required: true, description: 'Who signs in.' }) },
    errors: directOutcome(ValidationError, AuthenticationError, RateLimitedError),
    resolve: (_root, { input }, { services, address }) => logIn(services, input, address),
  }),
  refreshToken: t.field({
    type: signInSuccess('RefreshTokenSuccess'),
    authScopes: { public: true },
    description: 'Exchanges a token that is still valid for a fresh one, up to 30 days after the password was given.',
    args: { input: t.arg({ type: RefreshToken, required: true, description: 'What to sign in again with.' }) },
    errors: directOutcome(ValidationError, AuthenticationError),
    resolve: (_root, { input }, { services }) => refreshToken(services, input),
  }),
  createApiKey: t.field({
    type: CreateApiKeySuccess,
    authScopes: { user: true },
    description: 'Creates an API key and shows it, once. It works on this server as soon as this answers.',
    args: { input: t.arg({ type: CreateApiKey, required: true, description: 'The new key.' }) },
    errors: directOutcome(ValidationError, ForbiddenError, NotFoundError),
    resolve: (_root, { input }, { services, caller }) => createApiKey(services, caller, input),
  }),
  revokeApiKey: t.field({
    type: ApiKey,
    authScopes: { user: true },
    description:
      'Revokes an API key for good: one’s own, or as an admin anybody’s. It is refused as soon as this answers.',
    args: { id: t.arg.id({ required: true, description: 'The key’s id.' }) },
    errors: outcome('apiKey', 'The key that was revoked.', NotFoundError),
    resolve: (_root, { id }, { services, caller }) => revokeApiKey(services, caller, id),
  }),
}));
