import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../kit/eventually.ts';
import { API_KEY, DataFolder, type ServerProcess } from '../process/server-process.ts';

/** What becomes of a subscription. */
export interface Listener<Data> {
  next(data: Data): void;
  /** It is over: for a reason, or because the server completed it. Not called for whoever stops it. */
  ended(error: unknown): void;
}

/** A frontend's client, as the README tells to set it up. Failures reject. */
export interface StoryClient {
  query<Data>(document: string, variables?: object): Promise<Data>;
  mutate<Data>(document: string, variables?: object): Promise<Data>;
  /** Returns what unsubscribes. */
  subscribe<Data>(document: string, variables: object, listener: Listener<Data>): () => void;
  close(): Promise<void>;
}

const PROVIDERS = '{ providers { id slug isActive } }';
const ACTIVATE = `mutation Activate($id: ID!) {
  activateProvider(id: $id) {
    __typename
    ... on ActivateProviderSuccess { active { id slug isActive } message }
    ... on Error { code message }
  }
}`;
const COMPLETION = `subscription Stream($input: CompletionInput!) {
  completion(input: $input) {
    __typename
    ... on CompletionStarted { requestId provider }
    ... on CompletionDelta { seq text }
    ... on CompletionFinished { completion { requestId text finishReason usage { outputTokens } cost } }
    ... on CompletionFailed { error { code message } }
  }
}`;
const METRICS = `subscription Live {
  metricsUpdated(input: { range: LAST_HOUR }) { summary { requests outputTokens cost } providers { provider attempts } }
}`;
const LOGGED = `subscription Log($afterSeq: BigInt) {
  requestLogged(input: { afterSeq: $afterSeq }) { seq id status }
}`;

type Event =
  | { __typename: 'CompletionStarted'; requestId: string }
  | { __typename: 'CompletionDelta'; seq: number; text: string }
  | { __typename: 'CompletionFinished'; completion: { requestId: string; text: string; usage: object } }
  | { __typename: 'CompletionFailed'; error: { code: string } };

/** The same story for every client: everything a dashboard does, with the server killed in the middle of it. */
export function tellStory(name: string, connect: (url: string, apiKey: string) => Promise<StoryClient>): void {
  describe(name, () => {
    let folder: DataFolder;
    let server: ServerProcess;
    let client: StoryClient;
    let url: string;
    let port: string;

    beforeAll(async () => {
      folder = await DataFolder.make();
      port = await freePort();
      server = folder.start({ PORT: port });
      url = await server.ready();
      client = await connect(url, API_KEY);
    });
    afterAll(async () => {
      await client?.close();
      await folder?.[Symbol.asyncDispose]();
    });

    it('queries', async () => {
      const { providers } = await client.query<{ providers: { slug: string; isActive: boolean }[] }>(PROVIDERS);
      expect(providers.filter(({ isActive }) => isActive).map(({ slug }) => slug)).toEqual(['sandbox']);
    });

    it('mutates, and gets an expected failure as data', async () => {
      const done = await client.mutate<{ activateProvider: object }>(ACTIVATE, { id: 'sandbox' });
      expect(done.activateProvider).toMatchObject({
        __typename: 'ActivateProviderSuccess',
        active: { slug: 'sandbox', isActive: true },
      });
      const refused = await client.mutate<{ activateProvider: object }>(ACTIVATE, { id: 'nobody' });
      expect(refused.activateProvider).toMatchObject({
        __typename: 'ProviderNotFoundError',
        code: 'PROVIDER_NOT_FOUND',
      });
    });

    it('streams a completion', async () => {
      const events: Event[] = [];
      const ended = new Promise((resolve) => {
        const input = { messages: [{ role: 'USER', content: 'Hello!' }], extra: sandbox(40, 200) };
        client.subscribe<{ completion: Event }>(
          COMPLETION,
          { input },
          { next: ({ completion }) => events.push(completion), ended: resolve },
        );
      });
      expect(await ended).toBeUndefined();
      expect(events.at(0)?.__typename).toBe('CompletionStarted');
      const last = events.at(-1);
      const deltas = events.flatMap((event) => (event.__typename === 'CompletionDelta' ? [event] : []));
      expect(deltas.length).toBeGreaterThan(3);
      expect(deltas.map(({ seq }) => seq)).toEqual(deltas.map(({ seq }) => seq).sort((a, b) => a - b));
      expect(last).toMatchObject({
        __typename: 'CompletionFinished',
        completion: {
          text: deltas.map(({ text }) => text).join(''),
          finishReason: 'stop',
          usage: { outputTokens: 40 },
        },
      });
    });

    it('stops a completion by unsubscribing', async () => {
      let requestId = '';
      const input = { messages: [{ role: 'USER', content: 'Hello!' }], extra: sandbox(10_000, 20) };
      const stop = client.subscribe<{ completion: Event }>(
        COMPLETION,
        { input },
        {
          next: ({ completion }) => {
            if (completion.__typename === 'CompletionStarted') requestId = completion.requestId;
          },
          ended: () => undefined,
        },
      );
      await until(() => requestId, 'the start of an answer');
      stop();
      const query = `query One($id: ID!) { request(id: $id) { id status latencyMs } }`;
      // A client's cache would answer null for ever.
      const read = () => postQuery<{ request: { status: string } | null }>(url, query, { id: requestId });
      expect((await until(async () => (await read()).request, 'the request in the log')).status).toBe('CANCELLED');
    });

    it('watches the metrics move while traffic flows', async () => {
      const seen: { summary: { requests: string }; providers: { provider: string; attempts: string }[] }[] = [];
      const at: number[] = [];
      const stop = client.subscribe<{ metricsUpdated: (typeof seen)[number] }>(
        METRICS,
        {},
        {
          next: ({ metricsUpdated }) => {
            seen.push(metricsUpdated);
            at.push(performance.now());
          },
          ended: () => undefined,
        },
      );
      await until(() => seen.length === 1, 'the snapshot');
      const before = Number(seen[0]?.summary.requests);
      const end = performance.now() + 3_000;
      let sent = 0;
      for (; performance.now() < end; sent++) await complete(url);
      await until(() => Number(seen.at(-1)?.summary.requests) === before + sent, 'all of them in the metrics');
      stop();
      expect(seen.length).toBeGreaterThanOrEqual(3);
      // A second between two, but for what timers and sockets add and take.
      const pauses = at.slice(2).map((time, index) => time - (at[index + 1] ?? 0));
      expect(Math.min(...pauses)).toBeGreaterThan(800);
      expect(seen.at(-1)?.providers.map(({ provider }) => provider)).toEqual(['sandbox']);
    });

    it('follows the request log across a killed server, without gap and without repeat', async () => {
      const first = await postQuery<{ requests: { nodes: { seq: string }[] } }>(
        url,
        '{ requests(first: 1) { nodes { seq } } }',
      );
      const start = first.requests.nodes[0]?.seq ?? '0';
      const seen: { seq: string; id: string }[] = [];
      let connections = 0;
      let stop = () => {};
      const follow = () => {
        connections += 1;
        stop = client.subscribe<{ requestLogged: { seq: string; id: string } }>(
          LOGGED,
          { afterSeq: seen.at(-1)?.seq ?? start },
          {
            next: ({ requestLogged }) => seen.push(requestLogged),
            ended: () => void delay(200).then(follow),
          },
        );
      };
      follow();
      let isOver = false;
      const answered: string[] = [];
      const traffic = Promise.all(
        Array.from({ length: 4 }, async () => {
          while (!isOver) {
            const id = await complete(url).catch(() => null);
            if (id) answered.push(id);
            // As fast as it goes, the log would be longer than the story needs.
            await delay(id ? 2 : 50);
          }
        }),
      );
      await until(() => seen.length > 50, 'requests before the kill');
      await server.end('SIGKILL');
      const before = seen.length;
      server = folder.start({ PORT: port });
      await server.ready();
      await until(() => seen.length > before + 50, 'requests after the restart');
      isOver = true;
      await traffic;
      await until(() => answered.every((id) => seen.some((one) => one.id === id)), 'every answered request');
      stop();
      const from = BigInt(start) + 1n;
      expect(seen.map(({ seq }) => BigInt(seq))).toEqual(seen.map((_, index) => from + BigInt(index)));
      expect(connections).toBeGreaterThan(1);
    }, 120_000);
  });
}

/** What the sandbox shall answer. */
function sandbox(outputTokens: number, tokensPerSecond: number) {
  return { sandbox: { outputTokens, tokensPerSecond } };
}

/** A short completion over `/v1`; resolves with its request id. */
async function complete(url: string): Promise<string | null> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello!' }], ...sandbox(5, 0) }),
  });
  await response.arrayBuffer();
  return response.ok ? response.headers.get('x-signalbox-request-id') : null;
}

async function postQuery<Data>(url: string, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  return ((await response.json()) as { data: Data }).data;
}

/** A port that was free a moment ago, for a server that comes back at the same address. */
async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? String(address.port) : '0';
}
