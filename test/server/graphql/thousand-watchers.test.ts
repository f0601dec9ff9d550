import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const WATCHERS = 999;
const SECONDS = 10;
const MIB = 1024 * 1024;
const QUERY = `subscription { metricsUpdated(input: { range: LAST_HOUR }) {
  summary { requests cost latencyP50Ms latencyP99Ms errorRate } providers { provider attempts share } } }`;
/** An event of some 60 kB, so that a socket that is not read is full within a second or two. */
const LARGE = `subscription { metricsUpdated(input: { range: LAST_HOUR }) { ${Array.from(
  { length: 95 },
  (_, at) =>
    `a${at}: summary { requests succeeded failed cancelled inputTokens outputTokens totalTokens cachedTokens
     reasoningTokens cost unpricedRequests averageLatencyMs latencyP50Ms errorRate uniqueUsers }`,
).join(' ')} } }`;

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

// A machine that is busy with other things can make everybody late by itself.
it('a thousand watch the metrics, one of them never reads: the others are on time, and memory stays bounded', {
  retry: 2,
  timeout: 120_000,
}, async () => {
  const url = `${server.url.replace('http', 'ws')}/graphql`;
  const authorization = `Bearer ${server.admin}`;
  const worker = new Worker(new URL('./watchers.mjs', import.meta.url), {
    workerData: { url, authorization, count: WATCHERS, query: QUERY },
  });
  await once(worker, 'message');
  const stalled = await stall(url, authorization, 100);
  const before = memory();
  const droppedBefore = server.services.liveViews.dropped;

  let peak = before;
  const end = performance.now() + SECONDS * 1_000;
  let sent = 0;
  while (performance.now() < end) {
    await complete();
    sent += 1;
    if (sent % 25 === 0) peak = Math.max(peak, memory());
    await delay(20);
  }
  await delay(1_500);
  const [arrivals] = (await Promise.all([once(worker, 'message'), worker.postMessage('end')]))[0] as [number[][]];
  await worker.terminate();
  const after = memory();
  const dropped = server.services.liveViews.dropped - droppedBefore;
  stalled.terminate();

  const ticks = Math.min(...arrivals.map((times) => times.length));
  const pauses = arrivals.flatMap((times) => times.slice(2).map((time, at) => time - (times[at + 1] ?? 0)));
  const spreads = spreadsOf(arrivals.flatMap((times) => times.slice(1)));
  console.log(
    [
      `watchers: ${WATCHERS} and one that never reads, ${sent} completions in ${SECONDS} s`,
      `events for each ${ticks} to ${Math.max(...arrivals.map((times) => times.length))}`,
      `between two events p50 ${quantile(pauses, 0.5)} ms, p99 ${quantile(pauses, 0.99)} ms, max ${quantile(pauses, 1)} ms`,
      `from the first watcher to the last p50 ${quantile(spreads, 0.5)} ms, p99 ${quantile(spreads, 0.99)} ms, max ${quantile(spreads, 1)} ms`,
      `dropped for the one ${dropped}`,
      `heap and buffers ${Math.round(before / MIB)} → ${Math.round(after / MIB)} MiB, at most ${Math.round(peak / MIB)}`,
    ].join('; '),
  );
  expect(ticks).toBeGreaterThanOrEqual(SECONDS - 3);
  expect(quantile(pauses, 0.99)).toBeLessThan(2_500);
  expect(dropped).toBeGreaterThan(0);
  expect(Math.max(peak, after) - before).toBeLessThan(96 * MIB);
  await until(() => server.services.liveViews.size === 0, 'the view to be given up');
});

/** How long after the first watcher each one got an event; between two events nothing comes for a while. */
function spreadsOf(arrivals: number[]): number[] {
  let first = Number.NEGATIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  return arrivals
    .sort((a, b) => a - b)
    .map((time) => {
      if (time - last > 200) first = time;
      last = time;
      return time - first;
    });
}

/** A socket with so many subscriptions that reads nothing once they have begun. */
async function stall(url: string, authorization: string, subscriptions: number): Promise<WebSocket> {
  const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false });
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } }));
  await once(socket, 'message');
  socket.pause();
  for (let id = 1; id <= subscriptions; id++)
    socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload: { query: LARGE } }));
  return socket;
}

async function complete(): Promise<void> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello!' }] }),
  });
  await response.arrayBuffer();
}

/** What this process holds, the server among it, after a collection. */
function memory(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0);
}
