import type { IncomingMessage } from 'node:http';
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import fastify, { type FastifyBaseLogger, type FastifyError, type FastifyInstance, LogController } from 'fastify';
import type { Services } from '../control/schema/context.ts';
import { assertWithinLimit, type RateLimitState } from '../gateway/admission/rate-limit.ts';
import { invalid, NotFoundError, PayloadTooLargeError, SignalboxError } from '../platform/errors.ts';
import { uuidv7 } from '../platform/ids.ts';
import { clientAddress } from './client-address.ts';
import { registerGraphiQLAssets } from './graphql/graphiql/graphiql.ts';
import { createGraphQL } from './graphql/graphql.ts';
import { registerHealth } from './health.ts';
import { answerClientError, answerExpectation, answerFrameworkError, hostError } from './malformed.ts';
import { retryHeaders, toOpenAIError } from './openai/errors.ts';
import { registerOpenAI } from './openai/openai.ts';
import { closeWithSocket } from './pipelining.ts';
import { registerPrometheus } from './prometheus.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';

/** A request that has not arrived after this time is cut off (slow-loris). */
const REQUEST_TIMEOUT_MS = 120_000;

const EXPOSED_HEADERS = [
  'x-request-id',
  'retry-after',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  ...[
    'request-id',
    'provider',
    'model',
    'route',
    'variant',
    'cached',
    'attempts',
    'warnings',
    'latency-ms',
    'input-tokens',
    'output-tokens',
    'cost',
  ].map((name) => `x-signalbox-${name}`),
];

/** The doors, open. */
export interface Server {
  /** Where it listens, for people: http://127.0.0.1:4000 */
  url: string;
  /** Stops accepting, ends what is open, and resolves when the sockets are closed. */
  close(): Promise<void>;
}

/**
 * Opens all doors: `/graphql`, `/v1`, `/health`, `/ping`, `/metrics`.
 * @throws when the port is taken
 */
export async function openServer(services: Services): Promise<Server> {
  const { settings } = services;
  const app = fastify({
    loggerInstance: services.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger for each request would cost more than the rest of the door; what is logged names its request id.
    childLoggerFactory: (logger) => logger,
    bodyLimit: settings.bodyLimitBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    genReqId: () => uuidv7(),
    // Checked below, where the answer can say what is missing.
    http: { requireHostHeader: false },
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError,
  });
  app.server.on('checkExpectation', answerExpectation);
  app.server.on('request', closeWithSocket);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done(hostError(request.raw));
  });
  if (settings.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: settings.corsOrigins.includes('*') ? '*' : [...settings.corsOrigins],
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: 600,
    });
  }
  answerErrors(app, services);
  // Answers that no door has counted: unknown addresses, and requests whose credential was refused.
  app.addHook('onSend', async (request, reply) => {
    if (!reply.hasHeader('x-ratelimit-limit')) reply.headers(rateLimitHeaders(countAddress(request.raw, services)));
  });

  await app.register(async (v1) => registerOpenAI(v1, services));
  await app.register(async (plain) => {
    await plain.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] } } });
    limitByAddress(plain, services);
    registerHealth(plain, services);
    registerPrometheus(plain, services);
    registerGraphiQLAssets(plain);
  });
  const graphql = createGraphQL(services);
  await app.register(async (room) => {
    // GraphiQL's page sends a policy of its own.
    await room.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] } } });
    // Yoga reads the body itself.
    room.removeAllContentTypeParsers();
    room.addContentTypeParser('*', (_request, _payload, done) => done(null));
    room.all('/graphql', (request, reply) => {
      for (const [name, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) reply.raw.setHeader(name, value);
      }
      reply.hijack();
      return graphql.handler(request.raw, reply.raw);
    });
  });
  graphql.attachWebSocket(app.server);
  await app.listen({ port: settings.port, host: settings.host });
  return {
    url: addressOf(app, settings.host),
    async close() {
      await graphql.dispose();
      await app.close();
    },
  };
}

function countAddress(request: IncomingMessage, { rateLimiter, settings }: Services): RateLimitState | null {
  return rateLimiter.take({ kind: 'ANONYMOUS', address: clientAddress(request, settings) });
}

function limitByAddress(app: FastifyInstance, services: Services): void {
  app.addHook('onRequest', async (request, reply) => {
    const limit = countAddress(request.raw, services);
    reply.headers(rateLimitHeaders(limit));
    assertWithinLimit(limit);
  });
}

/** Every failure outside GraphQL has the OpenAI shape; what was not expected is logged and told without its inside. */
function answerErrors(app: FastifyInstance, services: Services): void {
  app.setErrorHandler((thrown: FastifyError | SignalboxError, request, reply) => {
    const error = toExpected(thrown, services.settings.bodyLimitBytes);
    if (!error) {
      services.log.error({ err: thrown, requestId: request.id }, 'a request failed unexpectedly');
      return reply.status(500).send({
        error: {
          message: 'Something went wrong inside Signalbox.',
          type: 'server_error',
          param: null,
          code: 'internal',
          request_id: request.id,
        },
      });
    }
    return reply.status(error.status).headers(retryHeaders(error)).send(toOpenAIError(error, request.id));
  });
  app.setNotFoundHandler((request, reply) => {
    const error = new NotFoundError(
      'There is nothing at this address. The doors are /graphql, /v1, /health, /ping and /metrics.',
    );
    return reply.status(404).send(toOpenAIError(error, request.id));
  });
}

function toExpected(thrown: FastifyError | SignalboxError, bodyLimit: number): SignalboxError | null {
  if (thrown instanceof SignalboxError) return thrown;
  if (thrown.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new PayloadTooLargeError('The body', bodyLimit);
  const status = thrown.statusCode ?? 500;
  return status >= 400 && status < 500 ? invalid('', thrown.message) : null;
}

function addressOf(app: FastifyInstance, host: string): string {
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${shown}:${port}`;
}
