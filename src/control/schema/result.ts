import SchemaBuilder, { BasePlugin, type PothosTypeConfig, type SchemaTypes } from '@pothos/core';

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      result: ResultPlugin<Types>;
    }
  }
}

/** Puts the success first in result unions: `union LogInResult = LogInSuccess | ValidationError | …`. */
class ResultPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onTypeConfig(config: PothosTypeConfig): PothosTypeConfig {
    if (config.kind !== 'Union' || !config.name.endsWith('Result')) return config;
    const types = [...config.types];
    const success = types.pop();
    return success ? { ...config, types: [success, ...types] } : config;
  }
}

export const resultPlugin = 'result' as const;
SchemaBuilder.registerPlugin(resultPlugin, ResultPlugin);

type ErrorClass = new (...args: never[]) => Error;

/**
 * The `errors` option of a mutation: a union of its success and the given errors.
 * @param field name of the success type's field that holds what the mutation returns, such as `apiKey`
 * @param about what that field holds
 */
export function outcome<Errors extends ErrorClass[]>(field: string, about: string, ...types: Errors) {
  return {
    types,
    dataField: { name: field, description: about },
    result: { description: 'It was done.' },
    union: { description: 'What came of it: the success, or one of the expected failures.' },
  };
}

/** Like `outcome`, for a mutation whose return type is itself the success, with several fields. */
export function directOutcome<Errors extends ErrorClass[]>(...types: Errors) {
  return {
    types,
    directResult: true as const,
    union: { description: 'What came of it: the success, or one of the expected failures.' },
  };
}

export function capitalize(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
