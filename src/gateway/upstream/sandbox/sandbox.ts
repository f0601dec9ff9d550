import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Activity, type RequestRecord, type SandboxStats } from './activity.ts';
import { Client } from './client.ts';
import { answerCompletion, type Memory } from './completions.ts';
import { errorJson, errorOf, invalidRequest } from './errors.ts';
import { findModel, SANDBOX_MODELS, type SandboxModel } from './models.ts';
import { Recall } from './recall.ts';

export type { RequestRecord, SandboxStats } from './activity.ts';

/** A running sandbox: an upstream that costs nothing, speaks the OpenAI dialect, and fails on request. */
export interface Sandbox {
  /** Base URL with `/v1`, such as `http://127.0.0.1:41234/v1`. */
  url: string;
  port: number;
  stats(): SandboxStats;
  /** The last 100 chat completion requests, newest first. */
  requests(): RequestRecord[];
  /** Ends all connections, also in the middle of an answer, and stops listening. */
  close(): Promise<void>;
}

/** Longer than any client keeps an idle connection, so that it is never closed under a request. */
const KEEP_ALIVE_MS = 120_000;
const MODELS_SINCE = 1_735_689_600;

/**
 * Starts the sandbox.
 * @param options.port 0 takes a free one.
 * @param options.host default 127.0.0.1.
 * @throws the system's error when the port cannot be listened on.
 */
export async function startSandbox(options: { port: number; host?: string }): Promise<Sandbox> {
  const host = options.host ?? '127.0.0.1';
  const activity = new Activity();
  const memory = { activity, recall: new Recall() };
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    serve(request, response, memory);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/v1`,
    port,
    stats: () => activity.stats(),
    requests: () => activity.requests(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function serve(request: IncomingMessage, response: ServerResponse, memory: Memory): void {
  const client = new Client(response);
  const [path = ''] = (request.url ?? '').split('?', 1);
  if (path === '/v1/chat/completions') {
    if (request.method === 'POST') void answerCompletion(request, client, memory);
    else refuseMethod(request, client, 'POST');
    return;
  }
  const read = READS[path] ?? (path.startsWith('/v1/models/') ? () => readModel(path) : undefined);
  if (!read) {
    const message = `Unknown request URL: ${request.method} ${path.slice(0, 200)}.`;
    client.answer(404, errorJson(invalidRequest(message, null, 'unknown_url')));
  } else if (request.method === 'GET') {
    answerRead(client, () => read(memory.activity));
  } else {
    refuseMethod(request, client, 'GET');
  }
}

const READS: Readonly<Record<string, (activity: Activity) => unknown>> = {
  '/v1/models': () => ({ object: 'list', data: SANDBOX_MODELS.map(describe) }),
  '/v1/sandbox/stats': (activity) => activity.stats(),
  '/v1/sandbox/requests': (activity) => activity.requests(),
};

function readModel(path: string): unknown {
  return describe(findModel(path.slice('/v1/models/'.length)));
}

function describe({ id }: SandboxModel) {
  return { id, object: 'model', created: MODELS_SINCE, owned_by: 'signalbox-sandbox' };
}

function answerRead(client: Client, read: () => unknown): void {
  try {
    client.answer(200, JSON.stringify(read()));
  } catch (thrown) {
    const { status, error } = errorOf(thrown);
    client.answer(status, errorJson(error));
  }
}

function refuseMethod(request: IncomingMessage, client: Client, allow: string): void {
  const message = `Not allowed to ${request.method} on this URL. Use ${allow}.`;
  client.answer(405, errorJson(invalidRequest(message, null, 'method_not_supported')), { allow });
}
