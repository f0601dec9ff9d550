import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

const FACTS = `requestId text reasoning toolCalls { id name arguments } finishReason
  usage { inputTokens outputTokens totalTokens isEstimated } cost provider model route latencyMs timeToFirstTokenMs
  attempts { number provider model status upstreamStatus errorCode cost }`;
const COMPLETE = `mutation($input: CompletionInput!) { complete(input: $input) {
  __typename ... on Completion { ${FACTS} } ... on Error { code message } ... on ValidationError { issues { path } } } }`;
const STREAM = `subscription($input: CompletionInput!) { completion(input: $input) { __typename
  ... on CompletionStarted { requestId provider model route attemptCount }
  ... on CompletionDelta { seq text reasoning outputTokens toolCalls { index id name arguments } }
  ... on CompletionFinished { completion { ${FACTS} } }
  ... on CompletionFailed { requestId error { __typename code message } attempts { number status errorCode } } } }`;
const ASK = [{ role: 'USER', content: 'Where is the train?' }];

interface Completion {
  __typename: string;
  requestId: string;
  text: string | null;
  cost: string | null;
  [field: string]: unknown;
}
interface Event {
  __typename: string;
  text: string;
  completion: Completion;
  [field: string]: unknown;
}

let server: TestServer;
let sandboxUrl: string;
beforeAll(async () => {
  server = await startServer();
  sandboxUrl = server.services.snapshots.current.providersBySlug.get('sandbox')?.baseUrl ?? '';
});
afterAll(() => server.close());

async function complete(input: object): Promise<Completion> {
  const { data, errors } = await server.query<{ complete: Completion }, object>(COMPLETE, { input });
  expect(errors).toEqual([]);
  return data.complete;
}

async function stream(input: object): Promise<Event[]> {
  const events: Event[] = [];
  for await (const { data, errors } of server.ws().iterate<{ completion: Event }>({
    query: STREAM,
    variables: { input },
  })) {
    expect(errors).toBeUndefined();
    if (data) events.push(data.completion);
  }
  return events;
}

async function sandboxStats(): Promise<{ requests: number; active: number; aborted: number }> {
  return (await fetch(`${sandboxUrl}/sandbox/stats`)).json() as never;
}

describe('complete', () => {
  it('answers with text, usage, exact cost and its attempts', async () => {
    const answer = await complete({ messages: ASK });
    expect(answer).toMatchObject({
      __typename: 'Completion',
      text: expect.stringContaining('Where is the train?'),
      finishReason: 'stop',
      provider: 'sandbox',
      model: 'sandbox-small',
      route: 'default',
      attempts: [{ number: 1, status: 'SUCCEEDED', upstreamStatus: 200, errorCode: null, cost: answer.cost }],
    });
    const { inputTokens, outputTokens } = answer.usage as { inputTokens: number; outputTokens: number };
    // $0.1 and $0.4 per 1M tokens.
    expect(Number(answer.cost) * 1e12).toBeCloseTo(inputTokens * 100_000 + outputTokens * 400_000, 3);
  });

  it('calls tools and takes their results', async () => {
    const tools = [
      { name: 'find_train', parameters: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] } },
    ];
    const asked = await complete({ messages: ASK, tools, toolChoice: { mode: 'REQUIRED' } });
    expect(asked).toMatchObject({ text: null, finishReason: 'tool_calls', toolCalls: [{ name: 'find_train' }] });
    const [call] = asked.toolCalls as { id: string; name: string; arguments: string }[];
    expect(JSON.parse(call?.arguments ?? '')).toHaveProperty('id');
    const answer = await complete({
      messages: [
        ...ASK,
        { role: 'ASSISTANT', toolCalls: [call] },
        { role: 'TOOL', toolCallId: call?.id, content: 'At platform 9.' },
      ],
      tools,
    });
    expect(answer.text).toContain('At platform 9.');
  });

  it('takes images, a JSON schema and a reasoning model', async () => {
    const image = 'data:image/png;base64,iVBORw0KGgo=';
    const schema = { type: 'object', properties: { colour: { type: 'string' } }, required: ['colour'] };
    const answer = await complete({
      model: 'sandbox/sandbox-reasoning',
      messages: [{ role: 'USER', parts: [{ text: 'What colour?' }, { imageUrl: { url: image } }] }],
      responseFormat: { type: 'JSON_SCHEMA', schema },
      reasoningEffort: 'LOW',
    });
    expect(JSON.parse(answer.text ?? '')).toHaveProperty('colour');
    expect(answer.reasoning).not.toBe('');
  });

  it.each<[string, object, object]>([
    ['a wrong field', { messages: [] }, { __typename: 'ValidationError', issues: [{ path: 'messages' }] }],
    ['an unknown model', { model: 'sandbox-smal', messages: ASK }, { __typename: 'ModelNotFoundError' }],
    ['a failing provider', { model: 'sandbox-fault-status', messages: ASK }, { __typename: 'UpstreamError' }],
    [
      'a prompt too long',
      { model: 'sandbox-fault-context-length', messages: ASK },
      { __typename: 'ContextLengthError' },
    ],
  ])('answers %s with a member of its union', async (_what, input, expected) => {
    expect(await complete(input)).toMatchObject(expected);
  });

  it('stops the upstream call when its client leaves', async () => {
    const before = await sandboxStats();
    const input = { model: 'sandbox-fault-silent', messages: ASK };
    const request = httpRequest(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${server.admin}` },
    });
    request.on('error', () => undefined);
    request.end(JSON.stringify({ query: COMPLETE, variables: { input } }));
    await until(async () => (await sandboxStats()).active === before.active + 1, 'the stream runs', 2_000);
    request.destroy();
    await until(async () => (await sandboxStats()).aborted === before.aborted + 1, 'the upstream call stops', 300);
  });

  it('needs a user or an API key', async () => {
    const { data, errors } = await server.query(COMPLETE, { input: { messages: ASK } }, {});
    expect(data ?? null).toBeNull();
    expect(errors).toHaveLength(1);
    expect((await server.query(COMPLETE, { input: { messages: ASK } }, { apiKey: server.apiKey })).errors).toEqual([]);
  });
});

describe('the subscription completion', () => {
  it('starts, brings the answer in deltas, and finishes with the whole of it', async () => {
    const events = await stream({
      model: 'sandbox-large',
      messages: ASK,
      extra: { sandbox: { tokensPerSecond: 500 } },
    });
    const deltas = events.slice(1, -1);
    expect(events[0]).toMatchObject({ __typename: 'CompletionStarted', provider: 'sandbox', attemptCount: 1 });
    expect(new Set(deltas.map(({ __typename }) => __typename))).toEqual(new Set(['CompletionDelta']));
    const { completion } = events.at(-1) as Event;
    expect(completion).toMatchObject({
      requestId: events[0]?.requestId,
      text: deltas.map(({ text }) => text).join(''),
      finishReason: 'stop',
      attempts: [{ status: 'SUCCEEDED' }],
    });
    const { outputTokens } = completion.usage as { outputTokens: number };
    expect(deltas.length).toBeGreaterThan(3);
    expect(deltas.length).toBeLessThan(outputTokens / 2);
    expect(deltas.at(-1)?.outputTokens).toBeGreaterThan(outputTokens * 0.8);
  });

  it('answers the same as the mutation', async () => {
    const input = { model: 'sandbox-large', messages: ASK };
    const [whole, events] = await Promise.all([complete(input), stream(input)]);
    const streamed = events.at(-1)?.completion;
    expect(streamed).toMatchObject({ text: whole.text, usage: whole.usage, cost: whole.cost });
  });

  it('joins the fragments of tool calls', async () => {
    const tools = [{ name: 'go', parameters: { type: 'object', properties: { to: { type: 'string' } } } }];
    const events = await stream({ messages: ASK, tools, toolChoice: { tool: 'go' } });
    const fragments = events.flatMap(({ toolCalls }) => (toolCalls as { arguments: string }[] | undefined) ?? []);
    const { completion } = events.at(-1) as Event;
    const [call] = completion.toolCalls as { name: string; arguments: string }[];
    expect(call).toMatchObject({ name: 'go', arguments: fragments.map((part) => part.arguments).join('') });
    expect(() => JSON.parse(call?.arguments ?? '')).not.toThrow();
  });

  it('ends with what went wrong when the upstream is cut off in the middle', async () => {
    const events = await stream({ model: 'sandbox-fault-cut', messages: ASK });
    expect(events.some(({ __typename }) => __typename === 'CompletionDelta')).toBe(true);
    expect(events.at(-1)).toMatchObject({
      __typename: 'CompletionFailed',
      error: { __typename: 'UpstreamError', code: 'UPSTREAM' },
      attempts: [{ number: 1, status: 'FAILED', errorCode: 'UPSTREAM' }],
    });
  });

  it('ends with a failure, not with an error of the socket, when the input is wrong', async () => {
    const events = await stream({ messages: ASK, extra: { stream: false } });
    expect(events).toMatchObject([{ __typename: 'CompletionFailed', error: { __typename: 'ValidationError' } }]);
    expect((await stream({ model: 'nothing', messages: ASK })).at(-1)).toMatchObject({
      error: { __typename: 'ModelNotFoundError' },
    });
  });

  it('aborts the upstream within 100 ms of an unsubscription, also while no token comes', async () => {
    const before = await sandboxStats();
    const stalled = server.ws().iterate({
      query: STREAM,
      variables: { input: { model: 'sandbox-fault-stall', messages: ASK } },
    });
    await stalled.next();
    expect((await sandboxStats()).active).toBe(before.active + 1);
    const waiting = (async () => {
      while (!(await stalled.next()).done);
    })();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await stalled.return?.();
    await until(async () => (await sandboxStats()).aborted === before.aborted + 1, 'the upstream call stops', 100);
    await waiting;
  });

  it('aborts the upstream when a reader of its SSE stream leaves', async () => {
    const before = await sandboxStats();
    const leaving = new AbortController();
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        authorization: `Bearer ${server.admin}`,
      },
      body: JSON.stringify({
        query: STREAM,
        variables: { input: { model: 'sandbox-fault-stall', messages: ASK } },
      }),
      signal: leaving.signal,
    });
    await response.body?.getReader().read();
    await until(async () => (await sandboxStats()).active === before.active + 1, 'the stream runs', 2_000);
    leaving.abort();
    await until(async () => (await sandboxStats()).aborted === before.aborted + 1, 'the upstream call stops', 300);
  });

  it('stops reading from the upstream when its reader stops, and goes on when it goes on', { retry: 3 }, async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    let received = 0;
    socket.on('message', () => {
      received += 1;
    });
    socket.on('open', () => {
      const payload = { authorization: `Bearer ${server.admin}` };
      socket.send(JSON.stringify({ type: 'connection_init', payload }));
    });
    await until(async () => received === 1, 'the first event', 2_000);
    const before = await sandboxStats();
    // Ten times the text, so that the buffers of both sockets hold only a part of it.
    const copies = Array.from({ length: 10 }, (_, index) => `copy${index}: text`).join(' ');
    const query = `subscription($input: CompletionInput!) { completion(input: $input) {
      __typename ... on CompletionDelta { ${copies} } } }`;
    const input = { model: 'sandbox-large', messages: ASK, extra: { sandbox: { outputTokens: 1_000_000 } } };
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables: { input } } }));
    await until(async () => received > 2, 'more events', 2_000);
    socket.pause();
    const pausedAt = received;
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect((await sandboxStats()).active).toBe(before.active + 1);
    expect(received).toBeLessThan(pausedAt + 3);
    const usedAt = process.memoryUsage().heapUsed;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(process.memoryUsage().heapUsed - usedAt).toBeLessThan(20_000_000);
    socket.resume();
    await until(async () => received > pausedAt + 20, 'events after the pause', 3_000);
    socket.terminate();
    await until(async () => (await sandboxStats()).aborted === before.aborted + 1, 'the upstream call stops', 300);
  });
});
