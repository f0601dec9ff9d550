import { expect, it } from 'vitest';
import { drained, expectWhole } from './ledger.ts';
import { DataFolder, kill } from './server-process.ts';
import { random, Traffic } from './traffic.ts';

/** 50 streams at any time, and a few clients that do not stream. Some answers are as fast as they can be. */
function traffic(url: string, name: string): Traffic {
  return new Traffic(url, name)
    .add(46, () => ({ isStreamed: true, outputTokens: random(5, 60), tokensPerSecond: 60 }))
    .add(4, () => ({ isStreamed: true, outputTokens: random(1, 20), tokensPerSecond: 0 }))
    .add(6, () => ({ isStreamed: false, outputTokens: random(1, 20), tokensPerSecond: 60 }));
}

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
