/**
 * What the scripts of graphql-ws, GraphiQL and its editor share with the page.
 * @typedef {{
 *   graphqlWs: { createClient: typeof import('graphql-ws').createClient },
 *   YogaGraphiQL: { renderYogaGraphiQL(root: HTMLElement | null, properties: object): void },
 *   MonacoEnvironment: { getWorkerUrl(module: string, label: string): string },
 * }} Globals
 */

export const globals = /** @type {Globals} */ (/** @type {unknown} */ (globalThis));
