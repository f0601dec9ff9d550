import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestServer } from './server.ts';

/** A request as a provider received it. */
export interface Received {
  headers: IncomingMessage['headers'];
  body: string;
  at: number;
  /** When its connection was closed before the answer was complete; null until then. */
  abortedAt: number | null;
}

export type Answer = (response: ServerResponse, received: Received) => unknown;

export interface Upstream {
  url: string;
  received: Received[];
  close(): Promise<void>;
}

/** A provider whose answers the test writes byte by byte, over real HTTP. */
export async function startUpstream(answer: Answer): Promise<Upstream> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const one: Received = {
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
      at: Date.now(),
      abortedAt: null,
    };
    response.on('close', () => {
      if (!response.writableFinished) one.abortedAt = Date.now();
    });
    received.push(one);
    await answer(response, one);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    received,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Answers with these events as a stream, each `data: …` by itself. */
export function events(...data: (string | object)[]): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const one of data) response.write(`data: ${typeof one === 'string' ? one : JSON.stringify(one)}\n\n`);
    response.end();
  };
}

/** Answers with one JSON body. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** A chunk of an OpenAI stream. */
export function chunk(content: string, finishReason: string | null = null, more: object = {}) {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta: content === '' ? {} : { content }, finish_reason: finishReason }],
    ...more,
  };
}

/** An OpenAI answer that is not streamed. */
export function whole(content: string, more: object = {}) {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    ...more,
  };
}

function keyOf(slug: string): string {
  return `key-of-${slug}-1234567890`;
}

/** Sets the key of such a provider anew, so that it does not rest for what it was at fault for. */
export async function renewKey(server: TestServer, provider: string): Promise<void> {
  const input = { provider, key: keyOf(provider) };
  const document =
    'mutation ($input: SetProviderKeyInput!) { setProviderKey(input: $input) { __typename ... on Error { message } } }';
  await server.query(document, { input });
}

/**
 * Creates providers for these upstreams, tried in this order by the route `default`.
 * @param prices USD for 1M tokens of input and output, by provider; 1 and 2 where nothing is said
 */
export async function connectProviders(
  server: TestServer,
  upstreams: Record<string, Upstream>,
  prices: Readonly<Record<string, readonly [input: string, output: string]>> = {},
): Promise<void> {
  let priority = 1;
  for (const [slug, upstream] of Object.entries(upstreams)) {
    const [inputPrice, outputPrice] = prices[slug] ?? ['1', '2'];
    const input = {
      name: slug,
      slug,
      kind: 'CUSTOM',
      baseUrl: upstream.url,
      isEnabled: true,
      priority: priority++,
      apiKey: keyOf(slug),
      models: [{ name: 'm', inputPrice, outputPrice }],
    };
    const created = await server.query<{ createProvider: { __typename: string } }, unknown>(
      `mutation ($input: CreateProviderInput!) { createProvider(input: $input) { __typename ... on Error { message } } }`,
      { input },
    );
    if (created.data?.createProvider.__typename !== 'CreateProviderSuccess') throw new Error(JSON.stringify(created));
  }
  const first = Object.keys(upstreams)[0];
  await server.query('mutation ($id: ID!) { activateProvider(id: $id) { __typename } }', { id: first });
}
