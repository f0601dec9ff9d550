type ErrorClass = new (...args: never[]) => Error;

const union = { description: 'The outcome: the success, or one of the expected failures.' };

/**
 * The `errors` option of a mutation: a union of its success and the given errors.
 * @param field name of the success type's field that holds what the mutation returns, such as `apiKey`
 * @param about what that field holds
 */
export function outcome<Errors extends ErrorClass[]>(field: string, about: string, ...types: Errors) {
  return { types, dataField: { name: field, description: about }, result: { description: 'It was done.' }, union };
}

/** Like `outcome`, for a mutation whose return type is itself the success, with several fields. */
export function directOutcome<Errors extends ErrorClass[]>(...types: Errors) {
  return { types, directResult: true as const, union };
}
