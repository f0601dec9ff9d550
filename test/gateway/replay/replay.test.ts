import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CompletionEvent, CompletionReport } from '../../../src/gateway/completion.ts';
import { type Claims, Replays } from '../../../src/gateway/replay/replay.ts';
import type { Run } from '../../../src/gateway/run.ts';
import { chunkOf } from '../../../src/gateway/upstream/chunk.ts';
import { createLog } from '../../../src/platform/log.ts';

const TEN_MINUTES = 10 * 60_000;
/** Three answers of 3,000 bytes fit, and not what a fourth begins with. */
const MOST_BYTES = 45_000;

let begun: string[];
let replays: Replays;

beforeEach(() => {
  vi.useFakeTimers();
  begun = [];
  const claims = { take: async () => undefined, release: async () => undefined } as unknown as Claims;
  replays = new Replays({ claims, log: createLog({ logLevel: 'silent' }), graceMs: 1_000, mostBytes: MOST_BYTES });
});
afterEach(() => {
  vi.useRealTimers();
});

function open(key: string, until: Promise<void> = Promise.resolve(), size = 3_000) {
  const request = { caller: { kind: 'USER', account: { id: 'me' } }, key, operation: 'CHAT', tags: {}, sandbox: null };
  const admitted = { asked: { bytes: Buffer.alloc(0), chat: {} }, isStreamed: false, wantsUsage: false };
  const run = { requestId: key, request, admitted, open: null, reports: [] } as unknown as Run;
  async function* begin(): AsyncGenerator<CompletionEvent, void, undefined> {
    begun.push(key);
    await until;
    yield { type: 'body', body: Buffer.alloc(size), chunk: chunkOf({}) };
    yield { type: 'finished', report: {} as CompletionReport, usageEvent: null };
  }
  return replays.open(run, begin);
}

async function ask(key: string): Promise<void> {
  for await (const _ of await open(key));
}

test('answers are kept for ten minutes after their end', async () => {
  await ask('a');
  await vi.advanceTimersByTimeAsync(TEN_MINUTES - 1);
  await ask('a');
  expect(begun).toEqual(['a']);
  await vi.advanceTimersByTimeAsync(1);
  expect(replays.bytes).toBe(0);
  await ask('a');
  expect(begun).toEqual(['a', 'a']);
});

test('the oldest make room for new ones, but not those that somebody reads, nor those that run', async () => {
  let end: () => void = () => undefined;
  const running = await open(
    'running',
    new Promise((resolve) => {
      end = resolve;
    }),
  );
  await running.next();
  await ask('a');
  const reading = await open('a');
  await reading.next();
  for (const key of ['b', 'c']) await ask(key);
  expect(replays.bytes).toBeLessThanOrEqual(MOST_BYTES);
  await ask('a');
  expect(begun).toEqual(['running', 'a', 'b', 'c']);
  await ask('b');
  expect(begun).toEqual(['running', 'a', 'b', 'c', 'b']);
  end();
  await ask('running');
  expect(begun).toHaveLength(5);
});

test('one that is larger than all the memory there is for them is gone with its last reader', async () => {
  const large = await open('large', Promise.resolve(), 20_000);
  for await (const event of large) if (event.type === 'body') expect(event.body).toHaveLength(20_000);
  await ask('next');
  await ask('large');
  expect(begun).toEqual(['large', 'next', 'large']);
});
