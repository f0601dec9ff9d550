import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { WebSocket } from 'ws';
import { until } from '../../kit/eventually.ts';
import type { TestServer } from '../../kit/server.ts';
import { type Answer, chunk } from '../../kit/upstream.ts';

export const MESSAGES = [{ role: 'user', content: 'Hello' }];

/** A completion over `/v1`, under a name of the caller's. */
export function post(
  server: TestServer,
  key: string | null,
  body: object | string = {},
  signal?: AbortSignal,
  more: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}` },
      ...(key === null ? {} : { 'idempotency-key': key }),
      ...more,
    },
    body: typeof body === 'string' ? body : JSON.stringify({ model: 'default', messages: MESSAGES, ...body }),
    ...(signal ? { signal } : {}),
  });
}

/** A stream that the test writes word by word: the last word ends it. */
export class Dictation {
  #response: ServerResponse | null = null;

  readonly answer: Answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    this.#response = response;
  };

  async say(...words: string[]): Promise<void> {
    const response = await until(() => this.#response, 'a request at the provider');
    for (const word of words) response.write(`data: ${JSON.stringify(chunk(word))}\n\n`);
  }

  async end(...words: string[]): Promise<void> {
    await this.say(...words);
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
    const last = [chunk('', 'stop'), { ...chunk(''), choices: [], usage }];
    this.#response?.end(`${last.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('')}data: [DONE]\n\n`);
  }
}

export interface Told {
  __typename: string;
  requestId?: string;
  seq?: number;
  text?: string;
  outputTokens?: number;
  code?: string;
  error?: { __typename: string; code: string; message: string; request?: { id: string; status: string } | null };
  completion?: { requestId: string; text: string | null; cost: string | null };
}

const EVENTS = `subscription ($input: CompletionInput!) { completion(input: $input) { __typename
  ... on CompletionStarted { requestId } ... on CompletionDelta { seq text outputTokens } ... on CompletionRestarted { code }
  ... on CompletionFinished { completion { requestId text cost } }
  ... on CompletionFailed { requestId error { __typename code message ... on ConflictError { request { id status } } } } } }`;

/** A subscription on a socket of its own, without a client that knows what to do. */
export async function subscribe(server: TestServer, input: object) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const events: Told[] = [];
  const frames: string[] = [];
  let isComplete = false;
  await once(socket, 'open');
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.type === 'next') frames.push(String(data));
    if (message.type === 'next') events.push(message.payload.data.completion);
    if (message.type === 'complete') isComplete = true;
  });
  const send = (message: object) => socket.send(JSON.stringify(message));
  send({ type: 'connection_init', payload: { authorization: `Bearer ${server.admin}` } });
  await once(socket, 'message');
  const variables = { input: { messages: [{ role: 'USER', content: 'Hello' }], ...input } };
  send({ id: '1', type: 'subscribe', payload: { query: EVENTS, variables } });
  return {
    socket,
    events,
    frames,
    text: () => events.map(({ text = '' }) => text).join(''),
    /** Until it has brought so much text. */
    reach: (text: string) =>
      until(
        () =>
          events
            .map((one) => one.text ?? '')
            .join('')
            .includes(text),
        text,
      ),
    finished: () => until(() => (isComplete ? events.at(-1) : null), 'the end of a subscription'),
    unsubscribe: () => send({ id: '1', type: 'complete' }),
    /** Without a word, as when the network goes. */
    cut: () => socket.terminate(),
  };
}
