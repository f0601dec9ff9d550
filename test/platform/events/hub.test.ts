import { describe, expect, it } from 'vitest';
import { OverloadedError } from '../../../src/platform/errors.ts';
import { Hub } from '../../../src/platform/events/hub.ts';

const never = () => new AbortController().signal;

async function take<T>(events: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) taken.push((await events.next()).value);
  return taken;
}

describe('a hub', () => {
  it('gives every subscriber every event, in order, from when they came', async () => {
    const hub = new Hub<number>();
    const first = hub.subscribe({ overflow: 'END' }, never());
    hub.publish(1);
    const second = hub.subscribe({ overflow: 'END' }, never());
    hub.publish(2);
    hub.publish(3);
    expect(await take(first, 3)).toEqual([1, 2, 3]);
    expect(await take(second, 2)).toEqual([2, 3]);
  });

  it('wakes a reader that waits', async () => {
    const hub = new Hub<string>();
    const events = hub.subscribe({ overflow: 'LATEST' }, never());
    const pending = events.next();
    hub.publish('now');
    expect(await pending).toEqual({ value: 'now', done: false });
  });

  it('keeps the latest for a reader that is slow, and counts what it dropped', async () => {
    const hub = new Hub<number>();
    const events = hub.subscribe({ overflow: 'LATEST' }, never());
    for (let value = 1; value <= 5_000; value++) hub.publish(value);
    expect(await take(events, 1)).toEqual([5_000]);
    expect(hub.dropped).toBe(4_999);
  });

  it('ends a stream that must be whole when its reader falls behind, and no other', async () => {
    const hub = new Hub<number>();
    const stalled = hub.subscribe({ overflow: 'END', limit: 2 }, never());
    const quick = hub.subscribe({ overflow: 'END', limit: 2 }, never());
    for (const value of [1, 2, 3]) {
      hub.publish(value);
      expect(await take(quick, 1)).toEqual([value]);
    }
    await expect(stalled.next()).rejects.toThrow(OverloadedError);
    expect(await stalled.next()).toEqual({ value: undefined, done: true });
    expect(hub.size).toBe(1);
  });

  it('lets go of a subscriber whose signal aborts, also while it waits', async () => {
    const hub = new Hub<number>();
    const controller = new AbortController();
    const pending = hub.subscribe({ overflow: 'END' }, controller.signal).next();
    controller.abort();
    expect(await pending).toEqual({ value: undefined, done: true });
    expect(hub.size).toBe(0);
    expect(await hub.subscribe({ overflow: 'END' }, controller.signal).next()).toEqual({
      value: undefined,
      done: true,
    });
    expect(hub.size).toBe(0);
  });

  it('lets go of a subscriber who leaves the loop', async () => {
    const hub = new Hub<number>();
    const events = hub.subscribe({ overflow: 'END' }, never());
    hub.publish(1);
    for await (const event of events) {
      expect(event).toBe(1);
      break;
    }
    expect(hub.size).toBe(0);
  });
});
