import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { cuttableConnection, recordedLog } from '../../gateway/ledger/kit.ts';
import { eventually } from '../../kit/eventually.ts';
import { startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { complete, follow, headOf, range, untilFollowed } from './follow-requests.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

describe('requestLogged', () => {
  it('brings the same on two servers, in the same order, from either', async () => {
    const peer = await startPeer(server);
    onTestFinished(() => peer.close());
    const before = await headOf(server);
    const [here, there] = [follow(server), follow(peer)];
    await Promise.all([untilFollowed(server, 1), untilFollowed(peer, 1)]);
    await Promise.all([complete(server, 100), complete(peer, 100)]);
    await headOf(peer);
    const all = range(before + 1n, await headOf(server));
    expect(all).toHaveLength(200);
    await eventually(() => expect(here.seqs()).toEqual(all));
    await eventually(() => expect(there.events).toEqual(here.events));
  });

  it('resumes on one server what was received from another, also when that one is ahead', async () => {
    const peer = await startPeer(server);
    onTestFinished(() => peer.close());
    const before = await headOf(server);
    const load = complete(server, 150);
    const seqs: bigint[] = [];
    for (let turn = 0; seqs.length < 150; turn += 1) {
      const from = seqs.at(-1) ?? before;
      const { errors, stop, seqs: heard } = follow(turn % 2 ? peer : server, { afterSeq: `${from}` });
      await eventually(() => expect(heard().length).toBeGreaterThan(0));
      await stop();
      expect(errors).toEqual([]);
      seqs.push(...heard());
    }
    await load;
    expect(seqs).toEqual(range(before + 1n, before + 150n));
  });

  it('goes on where it was after the server has been restarted', async () => {
    const first = await startPeer(server);
    const before = await headOf(server);
    const { seqs: heard, reading } = follow(first, { afterSeq: `${before}` });
    await untilFollowed(first, 1);
    await complete(first, 30);
    await eventually(() => expect(heard().length).toBeGreaterThan(0));
    await complete(first, 20);
    await first.close();
    await reading;
    await complete(server, 10);
    const second = await startPeer(server);
    onTestFinished(() => second.close());
    const { seqs: later } = follow(second, { afterSeq: `${heard().at(-1)}` });
    await complete(second, 40);
    await eventually(() => expect([...heard(), ...later()]).toEqual(range(before + 1n, before + 100n)));
  });

  it('stays while Postgres is away, and misses nothing', async () => {
    const way = await cuttableConnection(server.connection);
    const { host, port, user, database } = { ...server.connection, ...way.connection };
    const { log, entries } = recordedLog();
    const peer = await startPeer(server, { databaseUrl: `postgresql://${user}@${host}:${port}/${database}` }, log);
    onTestFinished(() => peer.close());
    const before = await headOf(server);
    const live = follow(peer);
    await untilFollowed(peer, 1);
    await complete(peer, 5);
    await eventually(() => expect(live.events).toHaveLength(5));
    way.goAway();
    await complete(peer, 10);
    const late = follow(peer, { afterSeq: `${before}` });
    // This server cannot know whether there is such a one; it may be another server's.
    const ahead = follow(peer, { afterSeq: `${before + 14n}` });
    await complete(server, 10);
    await delay(2_500);
    expect([live.events.length, ahead.events.length, ahead.errors]).toEqual([5, 0, []]);
    way.comeBack();
    const all = range(before + 1n, before + 25n);
    await eventually(() => expect(live.seqs()).toEqual(all), 20_000);
    // A query that was lost on the way is given up after some seconds.
    await eventually(() => expect(late.events).toEqual(live.events), 20_000);
    await eventually(() => expect(ahead.events).toEqual(live.events.slice(14)), 20_000);
    expect([live.errors, late.errors, ahead.errors]).toEqual([[], [], []]);
    expect(late.events.every(({ attempts }) => attempts.length === 1)).toBe(true);
    const said = entries.filter(({ msg }) => msg.startsWith('the request log'));
    expect(said.map(({ level }) => level)).toEqual(['warn', 'info']);
  }, 90_000);
});
