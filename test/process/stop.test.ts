import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { createClient } from 'graphql-ws';
import { expect, it } from 'vitest';
import WebSocket from 'ws';
import { drained, expectWhole } from './ledger.ts';
import { API_KEY, DataFolder, type ServerProcess, seconds } from './server-process.ts';
import { type Sighting, send } from './traffic.ts';

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  it(`${signal} ends every stream with an error event, exits with 0 and leaves no process`, async () => {
    await using folder = await DataFolder.make();
    const server = folder.start();
    const url = await server.ready();
    const answers = Array.from({ length: 20 }, (_, number) => longAnswer(url, `${signal}-${number}`));
    const subscriber = subscribe(url, `${signal}-subscriber`);
    await Promise.all([...answers.map(({ began }) => began), subscriber.began]);
    const whole = send(url, { tag: `${signal}-whole`, isStreamed: false, outputTokens: 2_000, tokensPerSecond: 20 });
    await server.until(async () => (await running(url)) === 22);

    await expectCleanStop(server, folder, signal);
    const seen = await Promise.all([...answers.map(({ seen }) => seen), whole, subscriber.seen]);
    expect(seen.map(({ outcome, errorCode }) => [outcome, errorCode])).toEqual(
      seen.map(() => ['FAILED', 'overloaded']),
    );

    const next = folder.start();
    const nextUrl = await next.ready();
    await drained(nextUrl);
    await expectWhole(nextUrl, folder.path, seen, ['FAILED']);
    expect(next.stdout).not.toContain('INDETERMINATE');
  }, 120_000);
}

it('stops in time for a client that does not read, and has its request in the log', async () => {
  await using folder = await DataFolder.make();
  const server = folder.start();
  const url = await server.ready();
  const socket = openSilently(url, 'silent');
  await server.until(async () => (await running(url)) === 1);

  await expectCleanStop(server, folder, 'SIGTERM');
  socket.destroy();

  const next = folder.start();
  const nextUrl = await next.ready();
  await drained(nextUrl);
  const seen = { ...{ tag: 'silent', isStreamed: true, outputTokens: 1_000_000, tokensPerSecond: 0 }, ...BROKEN };
  await expectWhole(nextUrl, folder.path, [seen], ['FAILED', 'CANCELLED']);
  expect(next.stdout).not.toContain('INDETERMINATE');
}, 120_000);

const MOMENTS: Record<string, (folder: DataFolder, server: ServerProcess) => boolean | Promise<boolean>> = {
  'while the database is made': async ({ path }) => (await readdir(path)).some((name) => name.includes('unfinished')),
  'while Postgres starts': async (folder) => (await folder.postmasterPid()) !== null,
  'while it migrates': (_, { stdout }) => stdout.includes('migrating'),
  'after it has seeded': (_, { stdout }) => stdout.includes('seeded'),
};

for (const [moment, isReached] of Object.entries(MOMENTS)) {
  it(`SIGINT ${moment} ends the start cleanly, and the next start works`, async () => {
    await using folder = await DataFolder.make();
    const server = folder.start({ BOOTSTRAP_API_KEY: '' });
    await server.until(() => isReached(folder, server));
    await expectCleanStop(server, folder, 'SIGINT');
    expect(server.stderr).toBe('');
    // What was made up must be told now: the next start does not know it.
    expect(server.stdout.includes('API key    sbx_')).toBe(server.stdout.includes('seeded'));

    const next = folder.start();
    const url = await next.ready();
    expect((await fetch(`${url}/health`)).status).toBe(200);
  }, 120_000);
}

async function expectCleanStop(server: ServerProcess, folder: DataFolder, signal: NodeJS.Signals): Promise<void> {
  const startedAt = performance.now();
  // npm passes a signal on that the terminal has already sent to all.
  server.signal(signal);
  const { code, stderr } = await server.end(signal);
  expect([code, stderr]).toEqual([0, '']);
  expect(performance.now() - startedAt).toBeLessThan(seconds(5));
  expect(await folder.postgresPids()).toEqual([]);
}

/** A stream that is far from its end when the server stops. */
function longAnswer(url: string, tag: string): { began: Promise<void>; seen: Promise<Sighting> } {
  let begin = () => {};
  const began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const seen = send(url, { tag, isStreamed: true, outputTokens: 5_000, tokensPerSecond: 20 }, begin);
  return { began, seen };
}

const BROKEN = { requestId: null, outcome: 'BROKEN', usage: null, cost: null, errorCode: null } as const;

/** The same over graphql-ws; its sighting is FAILED when the last event is, or the socket was closed properly. */
function subscribe(url: string, tag: string): { began: Promise<void>; seen: Promise<Sighting> } {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${API_KEY}` },
    retryAttempts: 0,
  });
  const variables = {
    input: {
      messages: [{ role: 'USER', content: 'Hello!' }],
      tags: [{ name: 'test', value: tag }],
      extra: { sandbox: { outputTokens: 5_000, tokensPerSecond: 20 } },
    },
  };
  const events = client.iterate<{ completion: Record<string, unknown> }>({ query: SUBSCRIPTION, variables });
  let begin = () => {};
  const began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const watch = async (): Promise<Sighting> => {
    const sighting: Sighting = { ...{ tag, isStreamed: true, outputTokens: 5_000, tokensPerSecond: 20 }, ...BROKEN };
    for await (const { data } of events) {
      if (data?.completion.__typename === 'CompletionDelta') begin();
      if (data?.completion.__typename !== 'CompletionFailed') continue;
      const { code } = data.completion.error as { code: string };
      return { ...sighting, outcome: 'FAILED', errorCode: code.toLowerCase() };
    }
    return sighting;
  };
  return { began, seen: watch() };
}

const SUBSCRIPTION = `subscription ($input: CompletionInput!) {
  completion(input: $input) { __typename ... on CompletionFailed { error { code message } } }
}`;

/** A client that asks for a long stream and reads none of it. */
function openSilently(url: string, tag: string) {
  const { hostname, port } = new URL(url);
  const body = JSON.stringify({
    ...{ model: 'default', stream: true, messages: [{ role: 'user', content: 'Hello!' }] },
    sandbox: { outputTokens: 1_000_000 },
  });
  const socket = connect(Number(port), hostname);
  socket.pause();
  socket.on('error', () => {});
  socket.write(
    [
      'POST /v1/chat/completions HTTP/1.1',
      ...['host: signalbox', `authorization: Bearer ${API_KEY}`, 'content-type: application/json'],
      ...[`x-signalbox-tags: test=${tag}`, `content-length: ${Buffer.byteLength(body)}`, '', body],
    ].join('\r\n'),
  );
  return socket;
}

async function running(url: string): Promise<number> {
  const health = (await (await fetch(`${url}/health`)).json()) as { checks: { gateway: { running: number } } };
  return health.checks.gateway.running;
}
