import { codeOf, failure, send } from './api.js';
import { globals } from './globals.js';
import { Transcript } from './transcript.js';

/** Tokens may come hundreds of times a second; nobody reads that fast, and the editor draws slower. */
const REDRAW_MS = 50;
/** How the server closes a socket whose credential is refused, expired or revoked. */
const FORBIDDEN = 4403;

/**
 * @typedef {{ query: string, variables?: Record<string, unknown>, operationName?: string | null }} Operation
 * @typedef {{ headers?: Record<string, unknown>, documentAST?: { definitions: readonly any[] } }} Options
 * @typedef {{ next(value: unknown): void, error(error: unknown): void, complete(): void }} Sink
 */

/**
 * How GraphiQL reaches the server: subscriptions over WebSocket, all else over HTTP, both signed in as `session` says
 * at that moment. Headers that are typed into GraphiQL win.
 * @param {import('./session.js').Session} session
 */
export function createFetcher(session) {
  /** Ends what runs in the name of who was signed in. @type {Set<(why: string) => void>} */
  const running = new Set();
  session.addEventListener('change', () => {
    for (const end of running) end('It was ended because you signed in or out. Run it again.');
  });

  /** @param {Operation} operation @param {Options} [options] */
  return (operation, { headers: typed = {}, documentAST } = {}) => {
    const headers = /** @type {Record<string, string>} */ (lowerCased(typed));
    // The schema is public, and its manual stays there when a token expires.
    if (operation.operationName === 'IntrospectionQuery') return send(operation, headers);
    const isOwn = !headers.authorization && !headers['x-api-key'];
    if (isOwn && session.current) headers.authorization = session.current.authorization;
    if (isSubscription(documentAST, operation.operationName)) {
      return { subscribe: (/** @type {Sink} */ sink) => subscribe(operation, headers, isOwn, sink) };
    }
    return execute(operation, headers, isOwn);
  };

  /** @param {Operation} operation @param {Record<string, string>} headers @param {boolean} isOwn */
  async function execute(operation, headers, isOwn) {
    const result = await send(operation, headers);
    if (isOwn && codeOf(result) === 'UNAUTHENTICATED') await session.check();
    return result;
  }

  /**
   * Each has a socket of its own, so that it is signed in as its caller is when it starts. A lost one is not opened
   * again: running a completion twice would be paid twice.
   * @param {Operation} operation @param {Record<string, string>} headers @param {boolean} isOwn @param {Sink} sink
   */
  function subscribe(operation, headers, isOwn, sink) {
    const authorization = headers.authorization ?? (headers['x-api-key'] && `Bearer ${headers['x-api-key']}`);
    const client = globals.graphqlWs.createClient({
      url: location.origin.replace('http', 'ws') + location.pathname,
      connectionParams: authorization ? { authorization } : {},
      retryAttempts: 0,
    });
    const transcript = new Transcript();
    /** @type {number | undefined} */
    let timer;

    function draw() {
      clearTimeout(timer);
      timer = undefined;
      sink.next(transcript.show());
    }

    /** @param {import('./api.js').Result} result */
    function add(result) {
      transcript.add(result);
      timer ??= setTimeout(draw, REDRAW_MS);
    }

    function stop() {
      clearTimeout(timer);
      running.delete(end);
      client.dispose();
    }

    /** @param {string} why */
    function end(why) {
      add(failure(why));
      draw();
      stop();
      sink.complete();
    }

    client.subscribe(operation, {
      next: add,
      error(error) {
        if (isOwn && error instanceof CloseEvent && error.code === FORBIDDEN) void session.check();
        if (running.has(end)) end(sentenceOf(error));
      },
      complete() {
        if (!running.has(end)) return;
        if (timer) draw();
        stop();
        sink.complete();
      },
    });
    running.add(end);
    return { unsubscribe: stop };
  }
}

/** @param {unknown} error of graphql-ws: errors of GraphQL, the close of the socket, or anything that was thrown */
function sentenceOf(error) {
  if (Array.isArray(error)) return error.map(({ message }) => message).join(' ');
  if (error instanceof CloseEvent && error.code === FORBIDDEN) return 'The credential is not valid, or no longer.';
  return 'The connection was lost. Run it again.';
}

/** @param {Options['documentAST']} document @param {string | null} [name] */
function isSubscription(document, name) {
  const operations = document?.definitions.filter(({ kind }) => kind === 'OperationDefinition') ?? [];
  const chosen = operations.find((operation) => operation.name?.value === name) ?? operations[0];
  return chosen?.operation === 'subscription';
}

/** @param {Record<string, unknown>} headers */
function lowerCased(headers) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
}
