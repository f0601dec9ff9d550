import { builder } from '../schema/builder.ts';
import { connectionOf } from '../schema/connections.ts';
import { enumOf } from '../schema/enum-of.ts';

const RoleEnum = enumOf('Role', 'What a user may do.', {
  ADMIN: 'Change configuration, and read what belongs to others.',
  USER: 'Use Signalbox, and see what is their own.',
});

const TierEnum = enumOf('Tier', 'How much a user may do: it sets the requests a minute.', {
  FREE: '1,000 requests a minute.',
  STARTER: '5,000 requests a minute.',
  PROFESSIONAL: '20,000 requests a minute.',
  ENTERPRISE: '100,000 requests a minute.',
});

export const User = builder.prismaObject('User', {
  description: 'A person with an account.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    email: t.exposeString('email', { description: 'The address they sign in with, in lower case.' }),
    name: t.exposeString('name', { nullable: true, description: 'What they are called; null: unknown.' }),
    role: t.expose('role', { type: RoleEnum, description: 'What they may do.' }),
    tier: t.expose('tier', { type: TierEnum, description: 'How much they may do.' }),
    isActive: t.exposeBoolean('isActive', { description: 'Whether they may sign in and their API keys work.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the account was created.' }),
  }),
});

export const ApiKey = builder.prismaObject('ApiKey', {
  description: 'An API key of Signalbox, without its secret. It acts as its owner.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    name: t.exposeString('name', { description: 'What it is for.' }),
    hint: t.exposeString('hint', { description: 'What may be shown of it: `sbx_…a1b2`.' }),
    owner: t.relation('owner', { description: 'Whose completions it makes, and whose limits it has.' }),
    isAdmin: t.exposeBoolean('isAdmin', {
      description:
        'Whether it may also be used for the control plane, with its owner’s role; others make completions only.',
    }),
    allowedRoutes: t.exposeStringList('allowedRoutes', { description: 'Slugs of the routes it may use; empty: all.' }),
    rateLimitPerMinute: t.exposeInt('rateLimitPerMinute', {
      nullable: true,
      description: 'Its own limit of requests a minute; null: that of its owner’s tier.',
    }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Whatever its creator wanted to keep with it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it stops working; null: it does not expire.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null: it was not.',
    }),
  }),
});

export const ApiKeyConnection = connectionOf(ApiKey, 'ApiKey', 'API keys');
