import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { EventFeed, type FeedEvent, publishEvent } from '../../../src/platform/events/feed.ts';
import { createLog } from '../../../src/platform/log.ts';
import { createDatabase, runSql, type TestDatabase } from '../../kit/database.ts';

const log = createLog({ logLevel: 'silent' });
let database: TestDatabase;
let pool: pg.Pool;
let prisma: ReturnType<typeof createPrisma>;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool(database.connection, { max: 4, applicationName: 'test', log });
  prisma = createPrisma(database.connection, 8);
});
afterAll(async () => {
  await pool.end();
  await prisma.$disconnect();
  await database.drop();
});

/** What a subscriber of a server gets, up to `count` events. */
async function collect(feed: EventFeed, count: number): Promise<FeedEvent[]> {
  const events: FeedEvent[] = [];
  for await (const event of feed.subscribe('BUDGETS', { overflow: 'END' }, AbortSignal.timeout(10_000))) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

test('servers that publish at the same time are heard by all in one order, without gap or repeat', async () => {
  const feeds = [await EventFeed.open(pool, log), await EventFeed.open(pool, log)];
  const collected = feeds.map((feed) => collect(feed, 200));
  const publishers = Array.from({ length: 8 }, async (_, server) => {
    for (let number = 0; number < 25; number++) {
      await prisma.$transaction(async (tx) => {
        await tx.$executeRaw`SELECT pg_sleep(${Math.random() / 200})`;
        await publishEvent(tx, 'BUDGETS', { server, number });
      });
      for (const feed of feeds) await feed.refresh();
    }
  });
  await Promise.all(publishers);
  const [first = [], second = []] = await Promise.all(collected);
  expect(first).toEqual(second);
  const start = first[0]?.seq ?? 0n;
  expect(first.map(({ seq }) => seq)).toEqual(first.map((_, index) => start + BigInt(index)));
  expect(new Set(first.map(({ payload }) => JSON.stringify(payload))).size).toBe(200);
  for (const feed of feeds) feed.close();
});

test('many that are read at once are told in the order of their numbers', async () => {
  const feed = await EventFeed.open(pool, log);
  const collected = collect(feed, 120);
  for (let number = 0; number < 120; number++)
    await prisma.$transaction((tx) => publishEvent(tx, 'BUDGETS', { number }));
  await feed.refresh();
  expect((await collected).map(({ payload }) => payload)).toEqual(
    Array.from({ length: 120 }, (_, number) => ({ number })),
  );
  feed.close();
});

test('a change that is rolled back is not told, and leaves no gap', async () => {
  const feed = await EventFeed.open(pool, log);
  const collected = collect(feed, 2);
  await prisma.$transaction((tx) => publishEvent(tx, 'BUDGETS', { number: 1 }));
  const refused = prisma.$transaction(async (tx) => {
    await publishEvent(tx, 'BUDGETS', { number: 2 });
    throw new Error('refused');
  });
  await expect(refused).rejects.toThrow('refused');
  await prisma.$transaction((tx) => publishEvent(tx, 'BUDGETS', { number: 3 }));
  await feed.refresh();
  const events = await collected;
  expect(events.map(({ payload }) => payload)).toEqual([{ number: 1 }, { number: 3 }]);
  expect((events[1]?.seq ?? 0n) - (events[0]?.seq ?? 0n)).toBe(1n);
  feed.close();
});

test('subscribers hear their topic alone, and the poll tells what no notification did', async () => {
  const feed = await EventFeed.open(pool, log);
  const collected = collect(feed, 1);
  await prisma.$transaction((tx) => publishEvent(tx, 'CONFIGURATION', { version: '7' }));
  await prisma.$transaction((tx) => publishEvent(tx, 'BUDGETS', { number: 4 }));
  const [event] = await collected;
  expect(event).toMatchObject({ topic: 'BUDGETS', payload: { number: 4 } });
  feed.close();
});

test('a feed that could not read goes on where it was', async () => {
  const broken = new pg.Pool({ ...database.connection, max: 1 });
  const feed = await EventFeed.open(broken, log);
  const collected = collect(feed, 1);
  await prisma.$transaction((tx) => publishEvent(tx, 'BUDGETS', { number: 5 }));
  broken.on('error', () => undefined);
  await runSql(database.connection, 'ALTER TABLE events RENAME TO events_away');
  await expect(feed.refresh()).rejects.toThrow();
  await runSql(database.connection, 'ALTER TABLE events_away RENAME TO events');
  await feed.refresh();
  expect((await collected)[0]?.payload).toEqual({ number: 5 });
  feed.close();
  await broken.end();
});
