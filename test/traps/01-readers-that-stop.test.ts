import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { createPubSub, SlidingBuffer } from 'graphql-yoga';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builder } from '../../src/control/schema/builder.ts';
import { EventFeed, publishEvent } from '../../src/platform/events/feed.ts';
import { Hub, type Queueing } from '../../src/platform/events/hub.ts';
import { createLog } from '../../src/platform/log.ts';
import { eventually } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { Speaker } from './kit.ts';

/** The queues by themselves are tested in test/platform/events. */
const numbers = new Hub<{ number: number; padding: string }>();
/** Far more than the buffers of a socket and a queue hold together. */
const EVENTS = 1_000;
const PADDING = 'x'.repeat(16_384);

for (const [name, overflow] of [
  ['wholeNumbers', 'END'],
  ['latestNumber', 'LATEST'],
] as const) {
  builder.subscriptionField(name, (t) =>
    t.string({
      authScopes: { public: true },
      subscribe: (_root, _args, { signal }) => numbers.subscribe({ overflow, limit: 100 } satisfies Queueing, signal),
      resolve: ({ number, padding }) => `${number} ${padding}`,
    }),
  );
}

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ rateLimitPerMinute: 0 });
});
afterAll(() => server.close());

/** Runs a program that publishes 2,000 events to somebody who read one and stopped, and goes on with its work. */
async function publishToStalledReader(setUp: string): Promise<{ code: number; output: string }> {
  const program = `${setUp}
    await events.next();
    for (let number = 2; number <= 2_000; number += 1) publish(number);
    setTimeout(() => console.log('still here'), 20);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, output: output + errors };
}

describe('a reader who stops', () => {
  test('ends the whole process with the stock createPubSub', async () => {
    const { code, output } = await publishToStalledReader(`
      import { createPubSub } from '${import.meta.resolve('graphql-yoga')}';
      const pubSub = createPubSub();
      const publish = (number) => pubSub.publish('numbers', number);
      const events = pubSub.subscribe('numbers');
      setImmediate(() => publish(1));`);
    expect(code).not.toBe(0);
    expect(output).toContain('No more than 1024 pending');
    expect(output).not.toContain('still here');
  });

  test('does nothing to the process with our hub', async () => {
    const built = new URL('../../dist/platform/events/hub.js', import.meta.url);
    const ended = await publishToStalledReader(`
      import { Hub } from '${built}';
      const hub = new Hub();
      const publish = (number) => hub.publish(number);
      const events = hub.subscribe({ overflow: 'END' }, new AbortController().signal);
      setImmediate(() => publish(1));`);
    expect(ended).toEqual({ code: 0, output: 'still here\n' });
  });
});

/** What `second` reads while whoever reads `first` has stopped after one event: it is its own, and no other's. */
async function readBesideStalled(parts: {
  first: AsyncIterator<unknown>;
  second: AsyncIterator<unknown>;
  publish: (topic: 'first' | 'second', event: string) => void | Promise<void>;
}): Promise<unknown> {
  const started = parts.first.next();
  const pending = parts.second.next();
  await parts.publish('first', 'a secret of first 1');
  await parts.publish('second', 'for second 1');
  await Promise.all([started, pending]);
  for (const number of [2, 3, 4]) await parts.publish('first', `a secret of first ${number}`);
  const next = parts.second.next();
  await parts.publish('second', 'for second 2');
  return (await next).value;
}

describe('what one reader has not read', () => {
  test('goes to another with the stock repeaterBuffer', async () => {
    const pubSub = createPubSub<{ news: [tenant: string, event: string] }>({ repeaterBuffer: new SlidingBuffer(10) });
    const seen = await readBesideStalled({
      first: pubSub.subscribe('news', 'first'),
      second: pubSub.subscribe('news', 'second'),
      publish: (tenant, event) => pubSub.publish('news', tenant, event),
    });
    expect(seen).toBe('a secret of first 2');
  });

  test('stays with them in our feed', async () => {
    const pool = new pg.Pool({ ...server.connection, max: 1 });
    const feed = await EventFeed.open(pool, createLog({ logLevel: 'silent' }));
    const { signal } = new AbortController();
    const topics = { first: 'CONFIGURATION', second: 'BUDGETS' } as const;
    const seen = await readBesideStalled({
      first: feed.subscribe(topics.first, { overflow: 'END' }, signal),
      second: feed.subscribe(topics.second, { overflow: 'END' }, signal),
      async publish(name, event) {
        await publishEvent(server.services.prisma, topics[name], { version: '1', changes: [], event });
        await feed.refresh();
      },
    });
    feed.close();
    await pool.end();
    expect(seen).toMatchObject({ topic: 'BUDGETS', payload: { event: 'for second 2' } });
  });
});

describe('over a socket that does not read', () => {
  /** Follows with two sockets, of which one stops reading while thousands of events come. */
  async function flood(field: 'wholeNumbers' | 'latestNumber') {
    using stalled = await Speaker.connect(server.url);
    using quick = await Speaker.connect(server.url);
    for (const speaker of [stalled, quick]) speaker.subscribe('1', `subscription { ${field} }`);
    await eventually(() => expect(numbers.size).toBe(2));
    const droppedBefore = numbers.dropped;
    numbers.publish({ number: 0, padding: '' });
    for (const speaker of [stalled, quick]) await speaker.next('1');
    stalled.socket.pause();
    // At the pace of the quick one, who reads every event.
    let last: number | null = 0;
    for (let number = 1; number <= EVENTS; number += 1) {
      numbers.publish({ number, padding: PADDING });
      last = numberIn(await quick.next('1'), field);
    }
    const dropped = numbers.dropped - droppedBefore;
    stalled.socket.resume();
    return { last, dropped, ...(await readToEnd(stalled, field)) };
  }

  /** Up to the last event, or to what came in its place. */
  async function readToEnd(speaker: Speaker, field: string) {
    const read: number[] = [];
    for (;;) {
      const message = await speaker.next('1');
      const number = numberIn(message, field);
      if (number === null) return { read, end: message.payload };
      read.push(number);
      if (number === EVENTS) return { read, end: null };
    }
  }

  function numberIn({ type, payload }: { type: string; payload?: unknown }, field: string): number | null {
    const data = (payload as { data?: Record<string, string> } | undefined)?.data;
    return type === 'next' && data ? Number.parseInt(data[field] ?? '', 10) : null;
  }

  test('a stream that must be whole ends with an error and without a gap, for that reader alone', async () => {
    const { last, read, end } = await flood('wholeNumbers');
    expect(last).toBe(EVENTS);
    expect(read.length).toBeLessThan(EVENTS);
    expect(read).toEqual(read.map((_, index) => index + 1));
    expect(JSON.stringify(end)).toContain('OVERLOADED');
  });

  test('a reading that is replaced by the next one skips to the latest, and what was dropped is counted', async () => {
    const { last, read, dropped } = await flood('latestNumber');
    expect(last).toBe(EVENTS);
    expect(read.at(-1)).toBe(EVENTS);
    expect(read.length).toBeLessThan(EVENTS);
    expect(read.length + dropped).toBe(EVENTS);
  });
});
