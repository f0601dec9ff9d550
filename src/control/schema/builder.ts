import SchemaBuilder from '@pothos/core';
import ComplexityPlugin from '@pothos/plugin-complexity';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { isAdmin, mayUseControlPlane } from '../../gateway/admission/caller.ts';
import type PrismaTypes from '../../generated/pothos-types.ts';
import { getDatamodel } from '../../generated/pothos-types.ts';
import type { Picodollars } from '../../platform/money.ts';
import { accessPlugin, denial } from './access.ts';
import type { Context } from './context.ts';
import { stylePlugin } from './style.ts';
import { subscriptionPlugin } from './subscription.ts';

/** The types every room builds on. Fields are not null and inputs are optional unless they say otherwise. */
export interface Types {
  PrismaTypes: PrismaTypes;
  Context: Context;
  AuthScopes: {
    /** Anybody, also without signing in. */
    public: boolean;
    /** Whoever may make completions: users, API keys, and everybody where anonymous completions are allowed. */
    completions: boolean;
    /** Users and admin API keys. */
    user: boolean;
    /** Users with the role ADMIN and their admin API keys. */
    admin: boolean;
  };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    USD: { Input: Picodollars; Output: bigint };
    BigInt: { Input: bigint; Output: bigint | number };
    JSON: { Input: unknown; Output: unknown };
  };
  DefaultFieldNullability: false;
}

/**
 * Every field of Query, Mutation and Subscription names its `authScopes`; the schema does not build otherwise.
 * The order of the plugins matters: who may not use a field gets an error of the operation, and no result of the field.
 */
export const builder = new SchemaBuilder<Types>({
  plugins: [
    ScopeAuthPlugin,
    accessPlugin,
    subscriptionPlugin,
    ErrorsPlugin,
    stylePlugin,
    PrismaPlugin,
    RelayPlugin,
    ComplexityPlugin,
  ],
  defaultFieldNullability: false,
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ caller, services }) => ({
      public: true,
      completions: caller.kind !== 'ANONYMOUS' || services.settings.anonymousCompletions,
      user: mayUseControlPlane(caller),
      admin: isAdmin(caller),
    }),
    unauthorizedError: (_parent, context) => denial(context.caller),
  },
  errors: {
    defaultResultOptions: { name: ({ fieldName }) => `${capitalize(fieldName)}Success` },
    defaultUnionOptions: { name: ({ fieldName }) => `${capitalize(fieldName)}Result` },
  },
  prisma: {
    client: ({ services }) => services.prisma,
    dmmf: getDatamodel(),
    onUnusedQuery: process.env.NODE_ENV === 'test' ? 'error' : 'warn',
  },
  relay: {
    cursorType: 'String',
    nodesOnConnection: { description: 'The things themselves, without their cursors.', complexity: { multiplier: 1 } },
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    pageInfoTypeOptions: { description: 'Where a page stands in its list.' },
    pageInfoFieldOptions: { description: 'Where this page stands in the list.' },
    edgesFieldOptions: { description: 'The things with their cursors.', complexity: { multiplier: 1 } },
    cursorFieldOptions: { description: 'Pass it as `after` to continue after this one.' },
    nodeFieldOptions: { description: 'The thing itself.', nullable: false },
  },
});

function capitalize(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

builder.queryType({ description: 'What can be read.' });
builder.mutationType({ description: 'What can be done. Expected failures are members of the result unions.' });
builder.subscriptionType({ description: 'What can be watched live, over WebSocket (graphql-ws) or SSE.' });
