import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DialectName } from '../dialect.ts';
import { Activity, type RequestRecord, type SandboxStats } from './activity.ts';
import { Client } from './client.ts';
import { answerGet, answerPost, type Memory } from './exchange.ts';
import type { Failure, WrongCode } from './failure.ts';
import { Recall } from './recall.ts';
import { dialectOf, findRoute } from './routes.ts';
import { Scenarios } from './scenarios.ts';

export type { RequestRecord, SandboxStats } from './activity.ts';

/** A running sandbox: an upstream that costs nothing, speaks all three dialects, and fails on request. */
export interface Sandbox {
  /** Base URL for the OpenAI dialect, such as `http://127.0.0.1:41234/v1`. */
  url: string;
  /** The base URL for each dialect, as a provider has it. */
  urls: Readonly<Record<DialectName, string>>;
  port: number;
  stats(): SandboxStats;
  /** The last requests for answers and embeddings, newest first: 100 of them, or as many as asked for up to 20,000. */
  requests(most?: number): RequestRecord[];
  /** Ends all connections, also in the middle of an answer, and stops listening. */
  close(): Promise<void>;
}

/** Longer than any client keeps an idle connection, so that it is never closed under a request. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Starts the sandbox.
 * @param options.port 0 takes a free one.
 * @param options.host default 127.0.0.1.
 * @throws the system's error when the port cannot be listened on.
 */
export async function startSandbox(options: { port: number; host?: string }): Promise<Sandbox> {
  const host = options.host ?? '127.0.0.1';
  const activity = new Activity();
  const memory = { activity, recall: new Recall(), scenarios: new Scenarios() };
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    serve(request, response, memory);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const urls = { OPENAI: `${origin}/v1`, ANTHROPIC: `${origin}/v1`, GEMINI: `${origin}/v1beta` };
  return {
    url: urls.OPENAI,
    urls,
    port,
    stats: () => activity.stats(),
    requests: (most) => activity.requests(most),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function serve(request: IncomingMessage, response: ServerResponse, memory: Memory): void {
  const client = new Client(response);
  const [path = '', query] = (request.url ?? '').split('?', 2);
  const parameters = new URLSearchParams(query);
  const dialect = dialectOf(path, request.headers);
  const route = findRoute(path, parameters, dialect);
  if (!route) {
    const message = `Unknown request URL: ${request.method} ${path.slice(0, 200)}.`;
    client.refuse(dialect.writeError(wrongUrl(404, message, 'unknown_url')));
  } else if (request.method !== route.method) {
    const message = `Not allowed to ${request.method} on this URL. Use ${route.method}.`;
    const { status, headers, body } = route.dialect.writeError(wrongUrl(405, message, 'method_not_supported'));
    client.refuse({ status, headers: { ...headers, allow: route.method }, body });
  } else if (route.method === 'POST') {
    void answerPost(route, request, client, memory);
  } else {
    answerGet(route, request, parameters, client, memory.activity);
  }
}

function wrongUrl(status: number, message: string, code: WrongCode): Failure {
  return { type: 'wrong', status, message, param: null, code };
}
