import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { liveSource } from '../../../src/control/schema/subscription.ts';

/** A source that gives its numbers and then waits for ever, and notes whether it was cleaned up. */
function source(numbers: number[], signal: AbortSignal) {
  const state = { isCleanedUp: false };
  async function* events() {
    try {
      yield* numbers;
      if (!signal.aborted) await once(signal, 'abort');
    } finally {
      state.isCleanedUp = true;
    }
  }
  return { state, events: events() };
}

test('passes events on in their order and ends with the source', async () => {
  async function* events() {
    yield* Array.from({ length: 200 }, (_, index) => index);
  }
  const seen: number[] = [];
  for await (const event of liveSource(events(), new AbortController())) seen.push(event);
  expect(seen).toEqual(Array.from({ length: 200 }, (_, index) => index));
});

test('return() aborts at once and ends a pending next(), and the source cleans up', async () => {
  const controller = new AbortController();
  const { state, events } = source([1], controller.signal);
  const live = liveSource(events, controller);
  expect(await live.next()).toEqual({ value: 1, done: false });
  const pending = live.next();
  const returned = live.return?.();
  expect(controller.signal.aborted).toBe(true);
  expect(await pending).toEqual({ value: undefined, done: true });
  expect(await returned).toEqual({ value: undefined, done: true });
  await expect.poll(() => state.isCleanedUp).toBe(true);
  expect(await live.next()).toEqual({ value: undefined, done: true });
});

test('ends a pending next() of a source that ignores the signal', async () => {
  async function* deaf() {
    yield await new Promise<number>(() => undefined);
  }
  const controller = new AbortController();
  const pending = liveSource(deaf(), controller).next();
  controller.abort();
  expect(await pending).toEqual({ value: undefined, done: true });
});

test('tells the failure of a source once, and that it is over', async () => {
  async function* events() {
    yield 1;
    throw new Error('broken');
  }
  let ends = 0;
  const controller = new AbortController();
  const live = liveSource(events(), controller, undefined, () => {
    ends += 1;
  });
  await live.next();
  await expect(live.next()).rejects.toThrow('broken');
  expect(await live.next()).toEqual({ value: undefined, done: true });
  expect(controller.signal.aborted).toBe(true);
  expect(ends).toBe(1);
});

test('does not pass on an event that is not permitted any more', async () => {
  const controller = new AbortController();
  const { state, events } = source([1, 2], controller.signal);
  let permitted = 1;
  const live = liveSource(events, controller, async () => {
    permitted -= 1;
    if (permitted < 0) throw new Error('not any more');
    return true;
  });
  expect(await live.next()).toEqual({ value: 1, done: false });
  await expect(live.next()).rejects.toThrow('not any more');
  await expect.poll(() => state.isCleanedUp).toBe(true);
});

test('passes over the events that the caller may not see', async () => {
  async function* events() {
    yield* [1, 2, 3, 4];
  }
  const seen: number[] = [];
  for await (const event of liveSource(events(), new AbortController(), async (event) => event % 2 === 0))
    seen.push(event);
  expect(seen).toEqual([2, 4]);
});

test('what the source throws because it was told to stop is no failure', async () => {
  const controller = new AbortController();
  async function* events() {
    await new Promise((_resolve, reject) =>
      controller.signal.addEventListener('abort', () => reject(new Error('aborted'))),
    );
    yield 1;
  }
  const pending = liveSource(events(), controller).next();
  controller.abort();
  expect(await pending).toEqual({ value: undefined, done: true });
});

test('a source that always has more does not keep timers from running', async () => {
  async function* endless() {
    for (;;) yield 1;
  }
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 10);
  let count = 0;
  for await (const event of liveSource(endless(), controller)) count += event;
  expect(count).toBeGreaterThan(64);
});

test('holds no event that was taken, however many there are', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  async function* events() {
    for (let number = 0; number < 20_000; number++) yield { number, text: Array.from({ length: 100 }, () => number) };
    await new Promise(() => undefined);
  }
  const controller = new AbortController();
  const live = liveSource(events(), controller);
  await live.next();
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let taken = 1; taken < 20_000; taken++) await live.next();
  collectGarbage();
  // All of them would be some 18 MB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4_000_000);
  controller.abort();
});
