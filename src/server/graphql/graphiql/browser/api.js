/**
 * What an operation came to. It has errors where it failed, also where the server was not reached.
 * @typedef {{ data?: any, errors?: { message: string, extensions?: { code?: string } }[] }} Result
 */

/**
 * Sends an operation over HTTP; never rejects.
 * @param {{ query: string, variables?: unknown, operationName?: string | null }} operation
 * @param {Record<string, string>} [headers]
 * @returns {Promise<Result>}
 */
export async function send(operation, headers = {}) {
  try {
    const response = await fetch(location.pathname, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
      body: JSON.stringify(operation),
    });
    return await response.json();
  } catch {
    return failure('The server cannot be reached. Try again.', 'UNREACHABLE');
  }
}

/**
 * @param {string} message a sentence
 * @param {string} [code]
 * @returns {Result}
 */
export function failure(message, code) {
  return { errors: [{ message, ...(code && { extensions: { code } }) }] };
}

/**
 * @param {Result} result
 * @returns {string | undefined} the code of its first error
 */
export function codeOf(result) {
  return result.errors?.[0]?.extensions?.code;
}
