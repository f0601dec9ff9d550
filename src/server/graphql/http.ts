import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Services } from '../../control/schema/context.ts';
import { assertWithinLimit } from '../../gateway/admission/rate-limit.ts';
import { AuthenticationError, PayloadTooLargeError } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { clientAddress } from '../client-address.ts';
import { credentialOf, identify } from '../identify.ts';
import { rateLimitHeaders } from '../rate-limit-headers.ts';
import { formatError } from './format-error.ts';
import { checkRequest, queryString } from './http-request.ts';
import { readJsonBody } from './read-body.ts';
import { openSession } from './session.ts';
import type { Pipeline } from './yoga.ts';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** GraphQL over HTTP and SSE: POST with a JSON body, GET for queries, and GET from a browser for GraphiQL. */
export function createHttpHandler(pipeline: Pipeline, services: Services): HttpHandler {
  const { settings, rateLimiter, log } = services;

  async function serve(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const address = clientAddress(request, settings);
    const credential = credentialOf(request.headers);
    const caller = await findCaller(credential, address, response);
    const limit = rateLimiter.take(caller);
    setHeaders(response, rateLimitHeaders(limit));
    assertWithinLimit(limit);
    checkRequest(request, settings);
    // The pipeline takes a body that is already parsed from here.
    if (request.method === 'POST')
      Object.assign(request, { body: await readJsonBody(request, settings.bodyLimitBytes) });
    // It makes a URL of these, which clients could write so that none comes out.
    request.headers.host = 'signalbox';
    Object.assign(request, { originalUrl: `/graphql?${queryString(request)}` });
    const controller = new AbortController();
    response.once('close', () => controller.abort());
    endWhenStalled(response, settings.stallTimeoutMs);
    const session = openSession(caller, credential, address, services);
    await pipeline(request, response, { session, address, requestId, controller });
  }

  async function findCaller(credential: string | null, address: string, response: ServerResponse) {
    try {
      return await identify(credential, address, services);
    } catch (error) {
      if (error instanceof AuthenticationError) setHeaders(response, rateLimitHeaders(rateLimiter.failures(address)));
      throw error;
    }
  }

  function refuse(request: IncomingMessage, response: ServerResponse, error: unknown, requestId: string): void {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const formatted = formatError(error, { requestId, log });
    const { http, ...extensions } = formatted.extensions as {
      http?: { status: number; headers?: Record<string, string> };
    };
    if (error instanceof PayloadTooLargeError) response.setHeader('connection', 'close');
    else request.resume();
    response.writeHead(http?.status ?? 400, { 'content-type': 'application/json; charset=utf-8', ...http?.headers });
    response.end(JSON.stringify({ errors: [{ message: formatted.message, extensions }] }));
  }

  return (request, response) => {
    const requestId = uuidv7();
    response.setHeader('x-request-id', requestId);
    serve(request, response, requestId).catch((error) => refuse(request, response, error, requestId));
  };
}

/**
 * Ends the answer of a client that takes nothing of what waits for it: meanwhile a completion is open, and the money for
 * it is set aside. The pipeline switches off the socket's own limit.
 */
function endWhenStalled(response: ServerResponse, limitMs: number): void {
  let hasTaken = true;
  response.on('drain', () => {
    hasTaken = true;
  });
  const timer = setInterval(() => {
    if (response.writableNeedDrain && !hasTaken) response.destroy();
    hasTaken = !response.writableNeedDrain;
  }, limitMs).unref();
  response.once('close', () => clearInterval(timer));
}

function setHeaders(response: ServerResponse, headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}
