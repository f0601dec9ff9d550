import type { IncomingMessage } from 'node:http';
import { GraphQLError } from 'graphql';
import type { Settings } from '../../platform/settings.ts';
import { isAllowedOrigin } from './origin.ts';

/**
 * Refuses requests that are not GraphQL over HTTP, and those that a browser was made to send by a foreign page.
 * A POST must be JSON, which no page can send elsewhere without asking first (CORS preflight); a GET must not come
 * from a foreign origin, unless it only opens GraphiQL.
 * @throws GraphQLError with the HTTP status.
 */
export function checkRequest(request: IncomingMessage, settings: Pick<Settings, 'corsOrigins'>): void {
  if (request.method === 'POST') {
    const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
    if (type !== 'application/json')
      throw refusal(415, 'Send the operation as JSON, with "content-type: application/json".');
    return;
  }
  if (request.method !== 'GET') throw refusal(405, 'Use POST, or GET for queries.', { allow: 'GET, POST' });
  if (request.headers.accept?.includes('text/html')) return;
  if (!isOwnRequest(request, settings))
    throw refusal(403, 'This origin may not call the server. Add it to CORS_ORIGINS.');
  checkParameters(request);
}

/** What follows the first question mark of the request's target. */
export function queryString({ url = '' }: IncomingMessage): string {
  const start = url.indexOf('?');
  return start < 0 ? '' : url.slice(start + 1);
}

/** Browsers say where a request comes from; everything else that can send requests could send any. */
function isOwnRequest(request: IncomingMessage, settings: Pick<Settings, 'corsOrigins'>): boolean {
  const site = request.headers['sec-fetch-site'];
  if (request.headers.origin) return isAllowedOrigin(request, settings);
  return site === undefined || site === 'same-origin' || site === 'none';
}

function checkParameters(request: IncomingMessage): void {
  const parameters = new URLSearchParams(queryString(request));
  for (const name of ['variables', 'extensions']) {
    const text = parameters.get(name);
    if (text && !isJson(text)) throw refusal(400, `The parameter "${name}" is not JSON.`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function refusal(status: number, message: string, headers: Record<string, string> = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { http: { status, headers } } });
}
