import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Services } from '../../control/schema/context.ts';
import type { Caller } from '../../gateway/admission/caller.ts';
import { assertWithinLimit } from '../../gateway/admission/rate-limit.ts';
import type { Operation } from '../../gateway/ledger/records.ts';
import { AuthenticationError, ModelNotFoundError, shorten, ValidationError } from '../../platform/errors.ts';
import { clientAddress } from '../client-address.ts';
import { credentialOf, identify } from '../identify.ts';
import { rateLimitHeaders } from '../rate-limit-headers.ts';
import { answerOpenAICall, parseWishes } from './answer.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is asking; set on `/v1` before the body is read. */
    caller: Caller | null;
  }
}

/** The OpenAI-compatible door: `/v1/chat/completions`, `/v1/embeddings` and `/v1/models`. */
export function registerOpenAI(app: FastifyInstance, services: Services): void {
  app.decorateRequest('caller', null);
  app.addHook('onRequest', (request, reply, done) => {
    admitCaller(request, reply, services).then(() => done(), done);
  });
  // Bodies stay bytes: the gateway reads them once and relays them as they are.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const answer = (operation: Operation) => (request: FastifyRequest, reply: FastifyReply) => {
    const { id: requestId, body } = request;
    if (!isJson(request) || !Buffer.isBuffer(body)) {
      throw new ValidationError([
        { path: '', message: 'Send the body as JSON, with "content-type: application/json".' },
      ]);
    }
    const wishes = parseWishes(request.raw);
    const call = { requestId, caller: callerOf(request), operation, body, wishes, headers: reply.getHeaders() };
    reply.hijack();
    return answerOpenAICall(request.raw, reply.raw, call, services);
  };
  app.post('/v1/chat/completions', answer('CHAT'));
  app.post('/v1/embeddings', answer('EMBEDDINGS'));

  app.get('/v1/models', async (request) => {
    const models = services.gateway.models(callerOf(request));
    return { object: 'list', data: [...models].map(([id, owner]) => toModel(id, owner)) };
  });

  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const id = request.params['*'];
    const owner = services.gateway.models(callerOf(request)).get(id);
    if (owner === undefined) throw new ModelNotFoundError(`There is no model "${shorten(id)}".`);
    return toModel(id, owner);
  });
}

async function admitCaller(request: FastifyRequest, reply: FastifyReply, services: Services): Promise<void> {
  const address = clientAddress(request.raw, services.settings);
  const caller = await identify(credentialOf(request.headers), address, services);
  const limit = services.rateLimiter.take(caller);
  reply.headers(rateLimitHeaders(limit));
  assertWithinLimit(limit);
  if (caller.kind === 'ANONYMOUS' && !services.settings.anonymousCompletions) {
    throw new AuthenticationError('Send an API key: "Authorization: Bearer sbx_…".');
  }
  request.caller = caller;
}

function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw new Error('the caller was not identified');
  return request.caller;
}

function isJson(request: FastifyRequest): boolean {
  return /^application\/json\b/i.test(request.headers['content-type'] ?? '');
}

function toModel(id: string, owner: string) {
  return { id, object: 'model', created: 0, owned_by: owner };
}
