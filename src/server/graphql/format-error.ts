import { GraphQLError, type GraphQLErrorExtensions } from 'graphql';
import { isDatabaseAway } from '../../platform/database/away.ts';
import { type ErrorCode, OverloadedError, SignalboxError, shorten } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';

/** What identifies a request to people, and where its faults are logged. */
export interface RequestTrace {
  requestId: string;
  log: Log;
}

const LONGEST_MESSAGE = 1_000;
const FAULT = 'Something went wrong inside Signalbox. The request id finds it in the log.';

/**
 * An error as clients see it. Expected failures keep their code, message and facts; wrong documents and variables are
 * VALIDATION; everything else is logged and shown only as INTERNAL. `extensions.http` is for HTTP alone.
 */
export function formatError(error: unknown, trace: RequestTrace): GraphQLError {
  const located = error instanceof GraphQLError ? error : null;
  const cause = expectedOf(causeOf(error), trace);
  const { code, message, facts } = describe(cause, located, trace);
  const http = httpOf(located, cause, code);
  return new GraphQLError(message, {
    nodes: located?.nodes ?? null,
    source: located?.source ?? null,
    positions: located?.positions ?? null,
    path: located?.path ?? null,
    extensions: { code, ...facts, requestId: trace.requestId, ...(http && { http }) },
  });
}

/** The same without what is for HTTP alone. */
export function formatErrorForSocket(error: unknown, trace: RequestTrace): GraphQLError {
  const formatted = formatError(error, trace);
  delete formatted.extensions.http;
  return formatted;
}

/** What was thrown first, below the layers that only say where. */
function causeOf(error: unknown): unknown {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError;
  return cause;
}

/** Anything that is done may meet a database that is away; the client can do nothing but try again. */
function expectedOf(cause: unknown, { log, requestId }: RequestTrace): unknown {
  if (!isDatabaseAway(cause)) return cause;
  log.warn({ err: cause, requestId }, 'a GraphQL operation could not reach the database');
  return new OverloadedError('The database cannot be reached, or has too much to do. Try again shortly.', 1);
}

type HttpFacts = NonNullable<GraphQLErrorExtensions['http']>;

interface Description {
  code: ErrorCode;
  message: string;
  facts: Record<string, unknown>;
}

function describe(cause: unknown, located: GraphQLError | null, trace: RequestTrace): Description {
  if (cause instanceof SignalboxError) {
    // Message, name and stack are not enumerable, so the rest is what the class carries for clients.
    const { code, ...facts } = cause;
    return { code, message: cause.message, facts };
  }
  if (cause instanceof GraphQLError && isAboutTheRequest(cause)) {
    const code = httpStatus(cause) === 413 ? 'PAYLOAD_TOO_LARGE' : 'VALIDATION';
    return { code, message: withoutValue(shorten(cause.message, LONGEST_MESSAGE)), facts: {} };
  }
  trace.log.error({ err: cause, requestId: trace.requestId, path: located?.path }, 'a GraphQL operation failed');
  return { code: 'INTERNAL', message: FAULT, facts: {} };
}

const QUOTED_VALUE =
  /^([^:]* cannot represent [^:]*value|Expected value of type "[^"]*")(?:: |, found ).*?( Did you mean the enum value.*)?$/s;

/** GraphQL's own errors quote the value that is wrong, which may be a secret in the wrong place. */
function withoutValue(message: string): string {
  return message.replace(QUOTED_VALUE, (_, what: string, hint = '') => `${what}.${hint}`);
}

/**
 * GraphQL's own errors are the client's when they come before execution or from coercing arguments; what else execution
 * throws, such as a value that an enum does not have, is a fault of ours.
 */
function isAboutTheRequest(error: GraphQLError): boolean {
  return error.name === 'GraphQLError' && (!error.path || error.message.startsWith('Argument "'));
}

/** Errors of a field come with status 200 and the data there is; errors of a request have a status of their own. */
function httpOf(located: GraphQLError | null, cause: unknown, code: ErrorCode): HttpFacts | undefined {
  if (located?.extensions.http) return located.extensions.http;
  if (located?.path) return undefined;
  if (cause instanceof SignalboxError) return { status: cause.status, spec: code === 'VALIDATION' };
  return code === 'INTERNAL' ? { status: 500 } : undefined;
}

function httpStatus(error: GraphQLError): number | undefined {
  return error.extensions.http?.status;
}
