import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { TestServer } from '../kit/server.ts';
import { expectServing, openSocket, startTarget } from './kit.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let server: TestServer;
beforeAll(async () => {
  server = await startTarget();
});
afterAll(() => server.close());

describe('a subscription that has told much', () => {
  const LOG = `subscription { requestLogged(input: { afterSeq: "0" }) { seq id status provider model cost tags { name value }
    usage { inputTokens outputTokens } attempts { number provider model cost } } }`;
  const REQUESTS = 3_000;
  const FOLLOWERS = 20;

  /** Megabytes; all that was told would be some 3 KB for each event. */
  const heap = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed / 1e6;
  };

  async function overWebSocket(isReading: boolean): Promise<() => void> {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.apiKey}` } }));
    await once(socket, 'message');
    if (!isReading) socket.pause();
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: LOG } }));
    return () => socket.terminate();
  }

  async function overServerSentEvents(isReading: boolean): Promise<() => void> {
    const socket = await openSocket(server.url);
    if (isReading) socket.resume();
    const body = JSON.stringify({ query: LOG });
    socket.write(
      `POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\naccept: text/event-stream\r\nauthorization: Bearer ${server.apiKey}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    return () => socket.destroy();
  }

  beforeAll(async () => {
    for (let sent = 0; sent < REQUESTS; sent += 30)
      await Promise.all(Array.from({ length: 30 }, () => expectServing(server)));
    await server.services.ledger.drained();
  }, 60_000);

  it.each([
    ['WebSocket', 'is read', overWebSocket, true],
    ['WebSocket', 'is not read', overWebSocket, false],
    ['SSE', 'is read', overServerSentEvents, true],
    ['SSE', 'is not read', overServerSentEvents, false],
  ] as const)('over %s and %s holds a page of it at most', async (_door, _how, open, isReading) => {
    const before = heap();
    const leave = await Promise.all(Array.from({ length: FOLLOWERS }, () => open(isReading)));
    // As long as it takes to tell them everything, or as much as sockets hold.
    let last = heap();
    for (let quiet = 0; quiet < 3; ) {
      await delay(500);
      const now = heap();
      quiet = Math.abs(now - last) < 1 ? quiet + 1 : 0;
      last = now;
    }
    for (const end of leave) end();
    expect(last - before).toBeLessThan(FOLLOWERS * 2);
  });
});
