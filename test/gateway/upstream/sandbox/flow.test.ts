import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../../src/gateway/upstream/sandbox/sandbox.ts';
import { msUntil, post, readEvents, sdk, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const MIB = 1024 * 1024;

/** Sends a request over a bare socket, which reads nothing unless told to. */
async function sendOverSocket(to: Sandbox, body: object): Promise<Socket> {
  const socket = connect(to.port, '127.0.0.1');
  socket.pause();
  await once(socket, 'connect');
  const json = JSON.stringify({ model: 'sandbox-small', messages: [{ role: 'user', content: 'hi' }], ...body });
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: sandbox\r\ncontent-length: ${json.length}\r\n\r\n${json}`);
  return socket;
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}

function memoryInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Resolves when this process has computed next to nothing for a quarter of a second. */
async function untilIdle(): Promise<void> {
  for (let busyMs = Infinity; busyMs > 50; ) {
    const before = process.cpuUsage();
    await sleep(250);
    busyMs = process.cpuUsage(before).user / 1000;
  }
}

describe('pace', () => {
  it('waits before the headers, and with tokensPerSecond spreads the tokens', async () => {
    const startedAt = performance.now();
    const controls = { latencyMs: 150, tokensPerSecond: 100, outputTokens: 30 };
    const response = await post(sandbox.current, { stream: true, sandbox: controls });
    const headersAfter = performance.now() - startedAt;
    expect(headersAfter).toBeGreaterThanOrEqual(148);
    const { data } = await readEvents(response);
    expect(data.at(-1)).toBe('[DONE]');
    expect(performance.now() - startedAt - headersAfter).toBeGreaterThanOrEqual(250);
  });

  it('sends tokens one after the other and not all at the end', async () => {
    const controls = { tokensPerSecond: 50, outputTokens: 20 };
    const response = await post(sandbox.current, { stream: true, sandbox: controls });
    let reads = 0;
    for await (const _ of response.body ?? []) reads++;
    expect(reads).toBeGreaterThan(8);
  });

  it('takes for a plain answer the time that its stream would take', async () => {
    const startedAt = performance.now();
    await post(sandbox.current, { sandbox: { firstTokenMs: 50, tokensPerSecond: 200, outputTokens: 40 } });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(245);
  });
});

// What counts is whether the sandbox can be this quick, not whether a loaded machine always lets it.
describe('a client that leaves', { retry: 2 }, () => {
  const waits: [string, object][] = [
    ['in a slow stream', { stream: true, sandbox: { tokensPerSecond: 5, outputTokens: 1000 } }],
    ['in a fast endless stream', { stream: true, sandbox: { outputTokens: 1_000_000 } }],
    ['before the headers', { sandbox: { latencyMs: 60_000 } }],
    ['before the first token', { stream: true, sandbox: { firstTokenMs: 60_000 } }],
    ['while a plain answer is generated', { sandbox: { tokensPerSecond: 1, outputTokens: 1000 } }],
    ['in a stall', { stream: true, sandbox: { fault: 'stall' } }],
    ['in silence', { sandbox: { fault: 'silent' } }],
  ];

  it.each(waits)('%s is noticed within 100 ms', async (_, body) => {
    const before = sandbox.current.stats();
    const timersBefore = timers();
    const socket = await sendOverSocket(sandbox.current, body);
    await msUntil(() => sandbox.current.stats().active === 1 && sandbox.current.requests()[0]?.id !== null);
    await sleep(30);
    const leftAt = Date.now();
    socket.destroy();
    await msUntil(() => sandbox.current.stats().active === 0);
    const [record] = sandbox.current.requests();
    expect(record?.outcome).toBe('aborted');
    expect((record?.finishedAt?.getTime() ?? Infinity) - leftAt).toBeLessThan(100);
    expect(sandbox.current.stats().aborted).toBe(before.aborted + 1);
    expect(timers()).toBeLessThanOrEqual(timersBefore);
  });

  it('by the abort of the SDK is noticed within 100 ms', async () => {
    const stream = await sdk(sandbox.current).chat.completions.create(
      { model: 'sandbox-small', messages: [{ role: 'user', content: 'hi' }], stream: true },
      { headers: { 'x-sandbox': 'tokensPerSecond=20;outputTokens=1000' } },
    );
    let seen = 0;
    for await (const _ of stream) {
      if (++seen === 3) break;
    }
    expect(await msUntil(() => sandbox.current.stats().active === 0)).toBeLessThan(100);
    expect(sandbox.current.requests()[0]?.outcome).toBe('aborted');
  });
});

describe('a reader that stops', () => {
  it('stops the making of a million tokens, and gets them all when it reads on', async () => {
    const before = memoryInUse();
    const request = { stream: true, sandbox: { outputTokens: 1_000_000 } };
    const readers = await Promise.all(Array.from({ length: 5 }, () => sendOverSocket(sandbox.current, request)));
    await msUntil(() => sandbox.current.stats().active === readers.length);
    await untilIdle();
    // Five answers of 230 MB each are asked for; the garbage of making the first MiBs of them is far less.
    expect(memoryInUse() - before).toBeLessThan(150 * MIB);
    expect(sandbox.current.stats().active).toBe(readers.length);

    const [first, ...others] = readers;
    for (const reader of others) reader.destroy();
    let tokens = 0;
    let tail = '';
    for await (const chunk of first ?? []) {
      const text = tail + chunk.toString('latin1');
      const end = text.lastIndexOf('\n') + 1;
      tokens += text.slice(0, end).split('"delta":{"content":').length - 1;
      tail = text.slice(end);
      if (text.includes('[DONE]')) break;
    }
    expect(tokens).toBe(1_000_000);
  });
});

describe('the record of requests', () => {
  it('is served over HTTP with the counts', async () => {
    const own = await startSandbox({ port: 0 });
    const completion = await (await post(own)).json();
    await post(own, { messages: [] });
    const stats = await (await fetch(`${own.url}/sandbox/stats`)).json();
    expect(stats).toEqual({ requests: 2, active: 0, completed: 1, aborted: 0, faulted: 0, refused: 1 });
    expect(own.stats()).toEqual(stats);
    const [refused, completed] = await (await fetch(`${own.url}/sandbox/requests`)).json();
    expect(refused).toMatchObject({ id: null, outcome: 'refused' });
    expect(completed).toMatchObject({ id: completion.id, model: 'sandbox-small', outcome: 'completed' });
    expect(Date.parse(completed.finishedAt)).toBeGreaterThanOrEqual(Date.parse(completed.startedAt));
    await own.close();
  });

  it('keeps the last 100', async () => {
    const own = await startSandbox({ port: 0 });
    for (let at = 0; at < 103; at++) await (await post(own, { seed: at })).text();
    const last = await (await post(own, { seed: 102 })).json();
    const requests = own.requests();
    expect(requests).toHaveLength(100);
    expect(requests[0]?.id).toBe(last.id);
    expect(requests[1]?.id).toBe(last.id);
    expect(new Set(requests.map((request) => request.id)).size).toBe(99);
    await own.close();
  });
});

it('closes at once with streams open', async () => {
  const own = await startSandbox({ port: 0 });
  const response = await post(own, { stream: true, sandbox: { fault: 'stall' } });
  const startedAt = performance.now();
  await own.close();
  expect(performance.now() - startedAt).toBeLessThan(200);
  expect((await readEvents(response)).brokeOff).toBe(true);
  await expect(post(own)).rejects.toThrow();
});

it('says so when its port is taken', async () => {
  await expect(startSandbox({ port: sandbox.current.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
