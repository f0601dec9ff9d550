// `npm run prove:outage`: kills Postgres under load and keeps it down; no completion fails for that, and afterwards the
// ledger has all of them. Exit code 1: one failed, or is not there once.
import { setTimeout as delay } from 'node:timers/promises';
import { parseDatabaseUrl } from '../../dist/platform/database/connection.js';
import { compare } from './books.mjs';
import { startClients } from './clients.mjs';
import { openDatabase } from './database.mjs';
import { dataFolder } from './folder.mjs';
import { conclude, count, option, say } from './report.mjs';
import { drained, examine, furnish, startServer } from './server.mjs';
import { startUpstream } from './upstream.mjs';

const seconds = option('--seconds', 60);
const database = await openDatabase();
const folder = await dataFolder();
const upstreams = { first: await startUpstream('first'), second: await startUpstream('second') };
try {
  const url = await database.start();
  const env = {
    ...{ DATA_DIR: folder.path, DATABASE_URL: url, JWT_SECRET: 'a secret of the proof that is long enough' },
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  };
  const server = startServer(env);
  const address = await server.ready();
  // A hard budget may refuse what it cannot lease meanwhile; it says so, and is proven elsewhere.
  await furnish(address, upstreams, ['SOFT']);
  const clients = startClients(address, 'outage');
  await delay(2_000);

  await database.kill();
  const before = clients.sightings.length;
  say(`Postgres was killed after ${before} requests, and stays down for ${seconds} s`);
  await delay(seconds * 1_000);
  const { status, checks } = await (await fetch(`${address}/health`)).json();
  const during = clients.sightings.slice(before);
  say(
    `meanwhile: ${count(during)}; the server is ${status}, the database ${checks.database.status}, and ` +
      `${checks.ledger.pendingBytes} bytes of the journal wait`,
  );
  await database.start();
  await delay(1_000);
  const seen = await clients.stop();
  await drained(address);
  say(`Postgres is back, and has everything; clients saw ${seen.length} requests: ${count(seen)}`);

  const calls = Object.values(upstreams).flatMap((upstream) => upstream.calls);
  const books = await compare(parseDatabaseUrl(url), seen, calls);
  const doctor = await examine(env);
  await server.end('SIGTERM');
  const violations = seen.flatMap(({ tag, outcome, error }) =>
    outcome === 'FAILED' || outcome === 'BROKEN' ? [`${tag} failed: ${error ?? 'its connection broke'}`] : [],
  );
  if (checks.database.status !== 'away') violations.push('Postgres was not away, so that nothing was proven');
  if (!during.some(({ outcome }) => outcome === 'COMPLETE')) violations.push('nothing was answered meanwhile');
  if (books.indeterminate > 0) violations.push(`${books.indeterminate} completions are INDETERMINATE`);
  say(`the ledger has ${books.completions} completions and ${books.attempts} attempts`);
  conclude([...violations, ...books.violations], doctor);
} finally {
  for (const upstream of Object.values(upstreams)) upstream.close();
  await database.remove();
  await folder.remove();
}
