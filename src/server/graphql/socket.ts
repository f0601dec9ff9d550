import type { IncomingMessage } from 'node:http';
import { type ExecutionArgs, type ExecutionResult, GraphQLError, getOperationAST } from 'graphql';
import { makeServer, type Context as ProtocolContext, type SubscribePayload } from 'graphql-ws';
import { isAsyncIterable } from 'graphql-yoga';
import type { RawData, WebSocket } from 'ws';
import type { Services } from '../../control/schema/context.ts';
import { liveSource } from '../../control/schema/subscription.ts';
import { assertWithinLimit } from '../../gateway/admission/rate-limit.ts';
import { AuthenticationError, CancelledError, OverloadedError, RateLimitedError } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { credentialOf, identify } from '../identify.ts';
import { formatErrorForSocket, type RequestTrace } from './format-error.ts';
import { openSession, type Session } from './session.ts';
import type { Pipeline } from './yoga.ts';

/** Close codes; clients connect again after 4403, and give up after 4401. */
export const CLOSE = { goingAway: 1001, tryAgainLater: 1013, forbidden: 4403, internalError: 4500 } as const;

/** Characters; a close frame holds 123 bytes, and reasons quote what the client sent. */
const LONGEST_REASON = 40;
const OPERATIONS_PER_SOCKET = 1_000;
/** What may wait to be sent to a client that does not read but goes on asking. */
const LARGEST_BACKLOG_BYTES = 8 * 1024 * 1024;

/** One socket and who is behind it. */
export interface Client {
  socket: WebSocket;
  /** The upgrade. */
  request: IncomingMessage;
  address: string;
  /** Null until the client has introduced itself. */
  session: Session | null;
  /** Answered the last ping. */
  isAlive: boolean;
}

interface OperationArgs extends ExecutionArgs {
  run: () => AsyncIterableIterator<ExecutionResult>;
}

/** Speaks graphql-transport-ws with clients and runs their operations through the same pipeline as HTTP. */
export function createSocketServer(pipeline: Pipeline, services: Services) {
  const { log, rateLimiter } = services;
  const run = (args: ExecutionArgs) => (args as OperationArgs).run();
  const server = makeServer<Record<string, unknown>, Client>({
    onConnect: ({ extra, connectionParams }) => introduce(extra, connectionParams),
    onSubscribe: prepare,
    execute: run as never,
    subscribe: run as never,
  });

  async function introduce(client: Client, parameters: Record<string, unknown> | undefined): Promise<boolean> {
    const credential = credentialIn(parameters) ?? credentialOf(client.request.headers);
    try {
      const caller = await identify(credential, client.address, services);
      client.session = openSession(caller, credential, client.address, services);
      return true;
    } catch (error) {
      if (error instanceof OverloadedError) client.socket.close(CLOSE.tryAgainLater, 'Try again later');
      else if (!(error instanceof AuthenticationError || error instanceof RateLimitedError)) throw error;
      return false;
    }
  }

  /** Everything up to execution. A failure is the operation's alone: the socket and its other operations go on. */
  async function prepare(
    context: ProtocolContext<Record<string, unknown>, Client>,
    _id: string,
    payload: SubscribePayload,
  ) {
    const trace = { requestId: uuidv7(), log };
    try {
      const { session, address, socket } = context.extra;
      if (!session) throw new AuthenticationError('Send connection_init first.');
      assertRoom(Object.keys(context.subscriptions).length);
      assertWithinLimit(rateLimiter.take(await session.renew()));
      const controller = new AbortController();
      const operationContext = { session, address, requestId: trace.requestId, controller, params: payload };
      const { schema, parse, validate, contextFactory, execute, subscribe } = pipeline.getEnveloped(operationContext);
      const document = parse(payload.query);
      const errors = validate(schema, document);
      if (errors.length > 0) return errors.map((error: unknown) => formatErrorForSocket(error, trace));
      const operation = getOperationAST(document, payload.operationName);
      if (!operation) throw new GraphQLError('Name one of the operations in the document as operationName.');
      const args: ExecutionArgs = {
        schema,
        document,
        operationName: payload.operationName,
        variableValues: payload.variables,
        contextValue: await contextFactory(),
      };
      const start = operation.operation === 'subscription' ? subscribe : execute;
      return {
        ...args,
        run: () =>
          liveSource(
            resultsOf(() => start(args), trace),
            controller,
            undefined,
            () => {
              // Ended from either side while the connection stands; a lost one says nothing about what the client wants.
              if (socket.readyState === socket.OPEN) controller.abort(new CancelledError('The client unsubscribed.'));
            },
          ),
      } as OperationArgs;
    } catch (error) {
      return [formatErrorForSocket(error, trace)];
    }
  }

  return {
    open(client: Client): void {
      const { socket } = client;
      const send = (text: string) =>
        new Promise<void>((resolve, reject) => {
          // Failing ends the operation; going on would pull its source as fast as it can, for nobody.
          if (socket.readyState !== socket.OPEN) return reject(new Error('The socket is closed.'));
          socket.send(text, (error) => (error ? reject(error) : resolve()));
        });
      const closed = server.opened(
        {
          protocol: socket.protocol,
          send,
          close: (code, reason) => socket.close(code, reason?.slice(0, LONGEST_REASON)),
          onMessage: (handle) => socket.on('message', (data) => void receive(client, data, handle)),
        },
        client,
      );
      socket.once('error', (error) => log.debug({ err: error }, 'a WebSocket failed'));
      socket.once('close', (code, reason) => void closed(code, String(reason)));
    },
  };

  async function receive({ socket }: Client, data: RawData, handle: (text: string) => Promise<void>): Promise<void> {
    if (socket.bufferedAmount > LARGEST_BACKLOG_BYTES) return socket.terminate();
    try {
      await handle(String(data));
    } catch (error) {
      if (socket.readyState !== socket.OPEN) return;
      log.warn({ err: error }, 'a WebSocket message could not be handled');
      socket.close(CLOSE.internalError, 'Internal server error');
    }
  }
}

/** The results of any operation, one for a query; a failure becomes the last of them. */
async function* resultsOf(start: () => unknown, trace: RequestTrace): AsyncGenerator<ExecutionResult, void, undefined> {
  const format = (result: ExecutionResult): ExecutionResult =>
    result.errors ? { ...result, errors: result.errors.map((error) => formatErrorForSocket(error, trace)) } : result;
  try {
    const result = await start();
    if (isAsyncIterable(result)) {
      for await (const event of result) yield format(event as ExecutionResult);
    } else {
      yield format(result as ExecutionResult);
    }
  } catch (error) {
    yield { errors: [formatErrorForSocket(error, trace)] };
  }
}

/** Clients send it as `authorization`, `Authorization`, or below `headers`. */
function credentialIn(parameters: Record<string, unknown> | undefined): string | null {
  const headers = (parameters?.headers ?? {}) as Record<string, unknown>;
  const found = [parameters?.authorization, parameters?.Authorization, headers.authorization, headers.Authorization];
  return found.find((value): value is string => typeof value === 'string' && value !== '') ?? null;
}

function assertRoom(operations: number): void {
  if (operations > OPERATIONS_PER_SOCKET) {
    throw new RateLimitedError(`A socket carries at most ${OPERATIONS_PER_SOCKET} operations at once.`, 1);
  }
}
