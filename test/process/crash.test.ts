import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { drained, expectWhole } from './ledger.ts';
import { DataFolder, kill } from './server-process.ts';
import { random, type Sighting, Traffic } from './traffic.ts';

/** Ten take about a minute. */
const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 4);

/** 50 streams at any time, and a few clients that do not stream. Some answers are as fast as they can be. */
function traffic(url: string, name: string): Traffic {
  return new Traffic(url, name)
    .add(46, () => ({ isStreamed: true, outputTokens: random(5, 60), tokensPerSecond: 60 }))
    .add(4, () => ({ isStreamed: true, outputTokens: random(1, 20), tokensPerSecond: 0 }))
    .add(6, () => ({ isStreamed: false, outputTokens: random(1, 20), tokensPerSecond: 60 }));
}

it('has every request once, however often the server is killed in the middle of 50 streams', async () => {
  await using folder = await DataFolder.make();
  const seen: Sighting[] = [];
  let server = folder.start();
  let url = await server.ready();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const clients = traffic(url, `round-${round}`);
    const enough = random(100_000, 1_000_000);
    await server.until(() => clients.received > enough);

    await server.end('SIGKILL');
    const sightings = await clients.stop();
    // Some may have got the end of their answer from the dead server's socket.
    expect(sightings.filter(({ outcome }) => outcome === 'BROKEN').length).toBeGreaterThan(40);
    seen.push(...sightings);

    // A start may be killed as well, wherever it is.
    if (round % 2 === 0) {
      const killed = folder.start();
      await delay(random(0, 2_000));
      await killed.end('SIGKILL');
    }
    server = folder.start();
    url = await server.ready();
  }
  await drained(url);
  expect(seen.filter(({ outcome }) => outcome === 'COMPLETE').length).toBeGreaterThan(ROUNDS * 10);
  await expectWhole(url, folder.path, seen, ['SUCCEEDED', 'INDETERMINATE']);
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0 });
}, 600_000);

it('completes everything while Postgres is killed and comes back, and catches up', async () => {
  await using folder = await DataFolder.make();
  const server = folder.start();
  const url = await server.ready();
  const clients = traffic(url, 'without-postgres');
  await server.until(() => clients.received > 200_000);

  const killed = (await folder.postmasterPid()) ?? 0;
  kill(killed, 'SIGKILL');
  const finishedBefore = clients.sightings.length;
  await server.until(async () => ![null, killed].includes(await folder.postmasterPid()));
  await server.until(() => clients.sightings.length > finishedBefore + 100);
  const seen = await clients.stop();

  expect(seen.filter(({ outcome }) => outcome !== 'COMPLETE')).toEqual([]);
  await drained(url);
  await expectWhole(url, folder.path, seen, []);
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0 });
}, 120_000);
