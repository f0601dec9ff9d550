// `npm run prove:crash`: kills the server again and again under load, and compares what clients and providers saw with
// what is on the ledger. Exit code 1: something was lost, or is there twice.
import { setTimeout as delay } from 'node:timers/promises';
import { runningEmbeddedPostgres } from '../../dist/platform/database/embedded.js';
import { compare } from './books.mjs';
import { random, startClients } from './clients.mjs';
import { dataFolder } from './folder.mjs';
import { conclude, count, option, say } from './report.mjs';
import { drained, enforcementsOf, examine, furnish, grantCredits, startServer } from './server.mjs';
import { startUpstream } from './upstream.mjs';

const rounds = option('--rounds', 50);
const folder = await dataFolder();
const env = { DATA_DIR: folder.path };
const upstreams = { first: await startUpstream('first'), second: await startUpstream('second') };
const seen = [];
const violations = [];
try {
  let server = startServer(env);
  let url = await server.ready();
  await furnish(url, upstreams, await enforcementsOf(url));
  await grantCredits(url);
  for (let round = 1; round <= rounds; round += 1) {
    const clients = startClients(url, `round-${round}`);
    await clients.answered(random(1, 150));
    await server.end('SIGKILL');
    const sightings = await clients.stop();
    seen.push(...sightings);
    violations.push(...sightings.flatMap(({ tag, error }) => (error ? [`${tag} was refused: ${error}`] : [])));
    let note = '';
    // A start may be killed as well, wherever it is.
    if (round % 3 === 0) {
      const killed = startServer(env);
      const afterMs = random(0, 2_000);
      await delay(afterMs);
      await killed.end('SIGKILL');
      note = `; then killed in its start, after ${afterMs} ms`;
    }
    server = startServer(env);
    url = await server.ready();
    say(`round ${round} of ${rounds}: killed in the middle of ${count(sightings)}${note}`);
  }
  await drained(url);
  const calls = Object.values(upstreams).flatMap((upstream) => upstream.calls);
  const books = await compare(await runningEmbeddedPostgres(folder.path), seen, calls);
  const doctor = await examine(env);
  await server.end('SIGTERM');
  say(`\nclients saw ${seen.length} requests: ${count(seen)}; providers got ${calls.length} calls`);
  say(
    `the ledger has ${books.completions} completions, ${books.indeterminate} of them INDETERMINATE, and ${books.attempts} attempts`,
  );
  conclude([...violations, ...books.violations], doctor);
} finally {
  for (const upstream of Object.values(upstreams)) upstream.close();
  await folder.remove();
}
