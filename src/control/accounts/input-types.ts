import { builder } from '../schema/builder.ts';

export const LogIn = builder.inputType('LogInInput', {
  description: 'Who signs in.',
  fields: (t) => ({
    email: t.string({ required: true, description: 'The address of the account; upper and lower case are the same.' }),
    password: t.string({ required: true, description: 'The password, at least 8 characters.' }),
  }),
});

export const RefreshToken = builder.inputType('RefreshTokenInput', {
  description: 'What to sign in again with.',
  fields: (t) => ({ token: t.string({ required: true, description: 'A token that is still valid.' }) }),
});

export const CreateApiKey = builder.inputType('CreateApiKeyInput', {
  description: 'A new API key.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'What it is for, up to 100 characters.' }),
    isAdmin: t.boolean({ description: 'Whether it may be used for the control plane. Admins only. Default: false.' }),
    ownerId: t.id({ description: 'The user it acts as. Admins only. Default: the caller.' }),
    allowedRoutes: t.stringList({ description: 'Slugs of the routes it may use, up to 100. Default: all.' }),
    rateLimitPerMinute: t.int({
      description: 'Its own limit of requests a minute, from 1. Default: that of its owner’s tier.',
    }),
    expiresAt: t.field({ type: 'DateTime', description: 'When it stops working. Default: never.' }),
    metadata: t.field({ type: 'JSON', description: 'An object to keep with it. Default: `{}`.' }),
  }),
});
