import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { eventually } from '../../kit/eventually.ts';
import { type Credential, startServer, type TestServer } from '../../kit/server.ts';
import { complete, follow, headOf, type Logged, range, untilFollowed } from './follow-requests.ts';
import { alike, commitRows } from './ledger-rows.ts';

let server: TestServer;
let user: { id: string; token: string };
beforeAll(async () => {
  server = await startServer();
  user = await createUser('user@example.com', 'USER');
});
afterAll(() => server.close());
// Whatever a test did, nobody is left behind; what a test registers runs before this.
beforeEach(() => onTestFinished(() => untilFollowed(server, 0)));

async function createUser(email: string, role: 'USER' | 'ADMIN') {
  const { services } = server;
  const data = { email, passwordHash: '-', role };
  const { id } = await changeAccounts(services, (tx, revision) => tx.user.create({ data: { ...data, revision } }));
  return { id, token: await services.tokens.sign(id) };
}

/** Statements on completions and attempts that the server sends while the test runs. */
function countStatements() {
  const { pool } = server.services;
  const counts = { completions: 0, attempts: 0 };
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
  const spy = vi.spyOn(pool, 'query').mockImplementation(((...args: unknown[]) => {
    // That of completions brings along the attempts of those that were corrected.
    if (String(args[0]).includes('FROM completions')) counts.completions += 1;
    else if (String(args[0]).includes('FROM attempts')) counts.attempts += 1;
    return query(...args);
  }) as never);
  onTestFinished(() => spy.mockRestore());
  return counts;
}

/** A subscriber whose socket the test can stop from reading. */
function followSlowly() {
  let socket: WebSocket | null = null;
  const client = createClient({
    url: `${server.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: class extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol);
        socket = this;
      }
    },
    connectionParams: { authorization: `Bearer ${server.admin}` },
    retryAttempts: 0,
  });
  const seqs: bigint[] = [];
  const stop = client.subscribe<{ requestLogged: Logged }>(
    { query: 'subscription { requestLogged { seq errorMessage } }' },
    {
      next: ({ data }) => data && seqs.push(BigInt(data.requestLogged.seq)),
      error: () => undefined,
      complete: () => undefined,
    },
  );
  onTestFinished(async () => {
    socket?.resume();
    stop();
    await client.dispose();
  });
  return { seqs, pause: () => socket?.pause(), resume: () => socket?.resume() };
}

describe('requestLogged', () => {
  it('tells three subscribers of 500 requests under load, in order, each once, also one who stops reading', async () => {
    const before = await headOf(server);
    const [one, another, slow] = [follow(server), follow(server), followSlowly()];
    await untilFollowed(server, 3);
    const began = performance.now();
    const load = complete(server, 500);
    await eventually(() => expect(slow.seqs.length).toBeGreaterThan(10));
    slow.pause();
    const heard = slow.seqs.length;
    await delay(2_000);
    expect(slow.seqs.length).toBe(heard);
    await load;
    const after = await headOf(server);
    const all = range(before + 1n, after);
    expect(all).toHaveLength(500);
    await eventually(() => expect(one.seqs()).toEqual(all), 1_000);
    await eventually(() => expect(another.seqs()).toEqual(all), 1_000);
    slow.resume();
    await eventually(() => expect(slow.seqs).toEqual(all));
    expect(one.events.every(({ attempts }) => attempts.length === 1)).toBe(true);
    console.info(`500 requests, all told ${Math.round(performance.now() - began)} ms after the first was sent`);
  });

  it('brings a request within a second of its answer', { retry: 2 }, async () => {
    const { events } = follow(server);
    await untilFollowed(server, 1);
    await complete(server);
    const answered = performance.now();
    await eventually(() => expect(events).toHaveLength(1), 1_000);
    console.info(`told ${Math.round(performance.now() - answered)} ms after the answer`);
  });

  it('neither skips nor repeats at the handover from Postgres to memory, whenever one subscribes', async () => {
    const { pool } = server.services;
    const first = await headOf(server);
    // Nobody follows yet, so these are not in memory.
    await commitRows(pool, alike(500));
    await eventually(() => expect(server.services.ledgerSeq.current).toBe(first + 500n));
    let isOver = false;
    const writers = [1, 2].map(async (writer) => {
      for (let turn = writer; !isOver; turn += 1) await commitRows(pool, alike(1 + ((turn * 7) % 40)));
    });
    const followers: { start: bigint; following: ReturnType<typeof follow> }[] = [];
    for (let index = 0; index < 32; index += 1) {
      const known = server.services.ledgerSeq.current;
      // From long before what is held in memory, from shortly before it, from within it, from the end.
      const start = [first, first + 400n, known - (known - first) / 50n, known][index % 4] ?? known;
      followers.push({ start, following: follow(server, { afterSeq: `${start}` }) });
      await delay(Math.random() * 40);
    }
    isOver = true;
    await Promise.all(writers);
    const last = await headOf(server);
    for (const { start, following } of followers) {
      await eventually(() => expect(following.seqs().at(-1)).toBe(last), 20_000);
      expect(following.seqs()).toEqual(range(start + 1n, last));
    }
    console.info(`32 subscriptions amid ${last - first} requests`);
  }, 60_000);

  it('brings everything to one who falls far behind, from Postgres', async () => {
    const counts = countStatements();
    const { pool } = server.services;
    const before = await headOf(server);
    const slow = followSlowly();
    await untilFollowed(server, 1);
    // More than sockets and memory hold.
    const long = { error_message: 'x'.repeat(10_000) };
    await commitRows(pool, alike(1, long));
    await eventually(() => expect(slow.seqs).toHaveLength(1));
    slow.pause();
    for (let turn = 0; turn < 6; turn += 1) await commitRows(pool, alike(500, long));
    const last = await headOf(server);
    await eventually(() => expect(server.services.ledgerSeq.current).toBe(last));
    await delay(500);
    const whilePaused = counts.completions;
    slow.resume();
    await eventually(() => expect(slow.seqs.at(-1)).toBe(last), 20_000);
    expect(slow.seqs).toEqual(range(before + 1n, last));
    expect(counts.completions).toBeGreaterThan(whilePaused);
  });

  it('resumes where a socket was cut, again and again', async () => {
    const before = await headOf(server);
    const load = complete(server, 200);
    const seqs: bigint[] = [];
    let cuts = 0;
    while (seqs.length < 200) {
      const { reading, cut, seqs: heard } = follow(server, { afterSeq: `${seqs.at(-1) ?? before}` });
      await eventually(() => expect(heard().length).toBeGreaterThan(0));
      await delay(20);
      cut();
      await reading;
      seqs.push(...heard());
      cuts += 1;
    }
    await load;
    expect(seqs).toEqual(range(before + 1n, before + 200n));
    console.info(`${cuts} cuts`);
  });

  it('finds the few that fit a filter among many, some thousands in each statement', async () => {
    const { pool } = server.services;
    const before = await headOf(server);
    const rare = alike(1, { model: 'rare' });
    for (let turn = 0; turn < 5; turn += 1) await commitRows(pool, [...rare, ...alike(9_999), ...rare]);
    const last = await headOf(server);
    await eventually(() => expect(server.services.ledgerSeq.current).toBe(last));
    const counts = countStatements();
    const { seqs } = follow(server, { afterSeq: `${before}`, filter: { model: 'rare' } });
    await eventually(() => expect(seqs()).toHaveLength(10));
    expect(counts.completions).toBe(3);
    const end = await commitRows(pool, [...alike(3), ...rare]);
    await eventually(() => expect(seqs().at(-1)).toBe(end));
    expect(seqs()).toHaveLength(11);
  });
});

describe('who may see what', () => {
  it('a user gets only what is theirs, whatever is before and after it', async () => {
    const before = await headOf(server);
    await complete(server, 3);
    await complete(server, 2, user);
    await headOf(server);
    const resumed = follow(server, { afterSeq: `${before}` }, user);
    const live = follow(server, {}, user);
    const all = follow(server, { afterSeq: `${before}` });
    const asAdmin = follow(server, { afterSeq: `${before}`, filter: { userId: user.id } });
    await untilFollowed(server, 4);
    await Promise.all([complete(server, 4), complete(server, 5, user)]);
    await eventually(() => expect(all.events).toHaveLength(14));
    const theirs = all.events.filter(({ userId }) => userId === user.id);
    expect(theirs).toHaveLength(7);
    await eventually(() => expect(resumed.events).toEqual(theirs));
    await eventually(() => expect(asAdmin.events).toEqual(theirs));
    await eventually(() => expect(live.events).toEqual(theirs.slice(2)));
  });

  it('a user cannot ask for another’s', async () => {
    const before = await headOf(server);
    const admin = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
    const { events, errors, reading } = follow(server, { afterSeq: '0', filter: { userId: admin.id } }, user);
    await reading;
    expect(before).toBeGreaterThan(0n);
    expect([events, errors]).toEqual([[], ['FORBIDDEN: Only admins may see what is another’s.']]);
  });

  it('an admin who loses the role gets nothing more of others', async () => {
    const { services } = server;
    const { id, token } = await createUser('second@example.com', 'ADMIN');
    const { events } = follow(server, {}, { token });
    await untilFollowed(server, 1);
    await complete(server);
    await eventually(() => expect(events).toHaveLength(1));
    await changeAccounts(services, (tx, revision) =>
      tx.user.update({ where: { id }, data: { role: 'USER', revision } }),
    );
    await complete(server);
    await complete(server, 1, { token });
    await eventually(() => expect(events.at(-1)?.userId).toBe(id));
    expect(events).toHaveLength(2);
  });

  it.each<[string, object, string]>([
    ['a negative seq', { afterSeq: '-1' }, 'VALIDATION: afterSeq: must be 0 or more'],
    ['a seq past the end', { afterSeq: '9'.repeat(30) }, 'VALIDATION: afterSeq: is past the end of the ledger'],
    ['a malformed id', { filter: { userId: 'me' } }, 'VALIDATION: filter.userId: is not an id'],
    [
      'a span that ends before it begins',
      { filter: { from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' } },
      'VALIDATION: filter.to: must be after from',
    ],
  ])('%s is refused with a sentence', async (_what, input, sentence) => {
    const { events, errors, reading } = follow(server, input);
    await reading;
    expect(events).toEqual([]);
    expect(errors).toEqual([expect.stringContaining(sentence)]);
  });
});

describe('what it costs', () => {
  /** Statements for one commit, with so many who follow and ask for attempts. */
  async function statements(counts: ReturnType<typeof countStatements>, followers: number, credential?: Credential) {
    const following = Array.from({ length: followers }, () => follow(server, {}, credential));
    await untilFollowed(server, followers);
    const before = { ...counts };
    const last = await commitRows(server.services.pool, alike(7, { user_id: user.id }));
    for (const { seqs } of following) await eventually(() => expect(seqs().at(-1)).toBe(last));
    for (const { events } of following) expect(events.map(({ attempts }) => attempts.length)).toEqual(Array(7).fill(1));
    await Promise.all(following.map(({ stop }) => stop()));
    await untilFollowed(server, 0);
    return [counts.completions - before.completions, counts.attempts - before.attempts];
  }

  it('one statement for a commit and one for its attempts, whether one follows or fifty', async () => {
    const counts = countStatements();
    expect(await statements(counts, 1)).toEqual([1, 1]);
    expect(await statements(counts, 50)).toEqual([1, 1]);
    expect(await statements(counts, 20, user)).toEqual([1, 1]);
  });

  // A busy machine can miss the limit by itself.
  it('nothing when nobody follows any more', { retry: 3 }, async () => {
    const { seqs, stop } = follow(server);
    await untilFollowed(server, 1);
    const first = await commitRows(server.services.pool, alike(1));
    await eventually(() => expect(seqs()).toEqual([first]));
    await stop();
    await eventually(() => expect(server.services.requestTail.followers).toBe(0), 100);
    const counts = countStatements();
    const last = await commitRows(server.services.pool, alike(1));
    await eventually(() => expect(server.services.ledgerSeq.current).toBe(last));
    await delay(100);
    expect(counts).toEqual({ completions: 0, attempts: 0 });
  });
});
