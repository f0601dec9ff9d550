import type { ExecutionArgs, ExecutionResult, GraphQLSchema } from 'graphql';
import { createYoga, isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Context, Services } from '../../control/schema/context.ts';
import { checkLimits, parseWithinLimits } from '../../control/schema/limits.ts';
import { UnconditionalSubscriptionRule } from '../../control/schema/unconditional-subscription.ts';
import { formatError } from './format-error.ts';
import { useGraphiQL } from './graphiql/graphiql.ts';
import type { Session } from './session.ts';

/** What the doors, HTTP and WebSocket, hand to the pipeline with each operation. */
export interface OperationContext {
  session: Session;
  address: string;
  requestId: string;
  /** Aborted when the client leaves, and when the operation is over. */
  controller: AbortController;
}

/**
 * The pipeline every operation goes through, whichever door it came in by: parse, validate, context, limits, execute.
 * @param subscriptions gets the controller of every subscription that runs
 */
export function createPipeline(schema: GraphQLSchema, services: Services, subscriptions: Set<AbortController>) {
  return createYoga<OperationContext, Context>({
    schema,
    graphqlEndpoint: '/graphql',
    context: ({ session, address, requestId, controller }) => ({
      services,
      caller: session.caller,
      renewCaller: () => session.renew(),
      address,
      requestId,
      signal: controller.signal,
    }),
    plugins: [useGraphiQL(), useLimits(), useSubscriptionRegister(subscriptions), useCodedErrors(services)],
    // Origins are the HTTP host's business. Bodies arrive read and parsed; see read-body.ts.
    cors: false,
    multipart: false,
    batching: false,
    maxRequestBodySize: false,
    // Done for both doors by formatError, which knows the request id.
    maskedErrors: false,
    logging: false,
    landingPage: false,
    graphiql: false,
  });
}

/** Yoga as this server uses it. */
export type Pipeline = ReturnType<typeof createPipeline>;

function useLimits(): Plugin<Context> {
  const check = (args: ExecutionArgs) =>
    checkLimits(args.schema, args.document, args.operationName, args.variableValues, args.contextValue as object);
  return {
    onParse: ({ setParseFn }) => setParseFn(parseWithinLimits),
    onValidate: ({ addValidationRule }) => addValidationRule(UnconditionalSubscriptionRule),
    onExecute: ({ args }) => check(args),
    onSubscribe: ({ args }) => check(args),
  };
}

function useSubscriptionRegister(subscriptions: Set<AbortController>): Plugin<Context, OperationContext> {
  return {
    onSubscribe({ args }) {
      const { controller } = args.contextValue as unknown as OperationContext;
      subscriptions.add(controller);
      controller.signal.addEventListener('abort', () => subscriptions.delete(controller), { once: true });
    },
  };
}

/** Gives every error on HTTP its code, also those of Yoga's own that come without a body. */
function useCodedErrors(services: Services): Plugin<Context, OperationContext> {
  return {
    onResultProcess({ result, setResult, serverContext }) {
      const trace = { requestId: serverContext.requestId, log: services.log };
      const format = (value: ExecutionResult): ExecutionResult =>
        value.errors ? { ...value, errors: value.errors.map((error) => formatError(error, trace)) } : value;
      if (isAsyncIterable(result)) setResult(mapEvents(result as AsyncIterable<ExecutionResult>, format));
      else if (!Array.isArray(result)) setResult(format(result as ExecutionResult));
    },
    onResponse({ response, setResponse, serverContext, fetchAPI }) {
      if (response.status < 400 || response.body) return;
      const error = {
        message: `${response.statusText}.`,
        extensions: { code: 'VALIDATION', requestId: serverContext.requestId },
      };
      setResponse(fetchAPI.Response.json({ errors: [error] }, { status: response.status }));
    },
  };
}

/** Unlike a generator, passes `return()` on at once. */
function mapEvents<T>(events: AsyncIterable<T>, map: (event: T) => T): AsyncIterableIterator<T> {
  const iterator = events[Symbol.asyncIterator]();
  return {
    async next() {
      const result = await iterator.next();
      return result.done ? result : { done: false, value: map(result.value) };
    },
    async return(value) {
      await iterator.return?.(value);
      return { done: true, value };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
