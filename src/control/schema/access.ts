import SchemaBuilder, {
  BasePlugin,
  type PothosOutputFieldConfig,
  PothosSchemaError,
  type SchemaTypes,
} from '@pothos/core';
import type { Caller } from '../../gateway/admission/caller.ts';
import { AuthenticationError, ForbiddenError } from '../../platform/errors.ts';

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      access: AccessPlugin<Types>;
    }
  }
}

/** The error for a caller who may not do what they asked for. */
export function denial(caller: Caller): AuthenticationError | ForbiddenError {
  if (caller.kind === 'ANONYMOUS') {
    return new AuthenticationError(
      'Sign in first: send "Authorization: Bearer <token>" with the token of the mutation logIn, or an API key.',
    );
  }
  if (caller.kind === 'API_KEY' && !caller.key.isAdmin) {
    return new ForbiddenError('This API key is for completions. Use an API key created with isAdmin, or sign in.');
  }
  return new ForbiddenError('This needs the role ADMIN.');
}

function isRootField(kind: string): boolean {
  return kind === 'Query' || kind === 'Mutation' || kind === 'Subscription';
}

/** Refuses to build a schema with a root field that does not say who may use it. */
class AccessPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(fieldConfig: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const { authScopes } = fieldConfig.pothosOptions;
    if (isRootField(fieldConfig.kind) && (typeof authScopes !== 'object' || Object.keys(authScopes).length === 0)) {
      throw new PothosSchemaError(`${fieldConfig.parentType}.${fieldConfig.name} must name its authScopes.`);
    }
    return fieldConfig;
  }
}

export const accessPlugin = 'access' as const;
SchemaBuilder.registerPlugin(accessPlugin, AccessPlugin);
