// `npm run prove:budget`: several servers, many callers, and a hard budget that is hit again and again, while clients
// leave and servers are killed. Exit code 1: it was passed, or somebody was refused while there was room.
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { parseDatabaseUrl } from '../../dist/platform/database/connection.js';
import { compare } from './books.mjs';
import { random, send } from './clients.mjs';
import { openDatabase } from './database.mjs';
import { dataFolder } from './folder.mjs';
import { Observer } from './observer.mjs';
import { conclude, count, option, say } from './report.mjs';
import { ask, drained, examine, furnish, startServer } from './server.mjs';
import { startUpstream } from './upstream.mjs';

const seconds = option('--seconds', 60);
const callers = option('--callers', 300);
const SERVERS = 3;
/** Each time that the limit is nearly reached, it is raised by so much: it is hit again and again. */
const STEP_USD = 0.05;
/** A server that was killed has what it leased until it is back; who is refused meanwhile is not judged. */
const RECOVERY_MS = 12_000;

const database = await openDatabase();
const folders = await Promise.all(Array.from({ length: SERVERS }, () => dataFolder()));
const upstreams = { first: await startUpstream('first'), second: await startUpstream('second') };
const secrets = {
  JWT_SECRET: 'a secret of the proof that is long enough',
  ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
};
try {
  const databaseUrl = await database.start();
  const envs = folders.map(({ path }) => ({ DATA_DIR: path, DATABASE_URL: databaseUrl, ...secrets }));
  const servers = [];
  for (const env of envs) {
    const process = startServer(env);
    servers.push({ env, process, url: await process.ready() });
  }
  await furnish(servers[0].url, upstreams, []);
  let limit = STEP_USD;
  const setLimit = () =>
    ask(
      servers.find(({ url }) => url).url,
      'mutation ($input: SetBudgetInput!) { setBudget(input: $input) { __typename ... on Error { message } } }',
      { input: { scope: 'EVERYTHING', period: 'TOTAL', enforcement: 'HARD', limit: limit.toFixed(12) } },
    );
  await setLimit();
  // Until every server knows of the budget.
  await delay(2_000);
  const client = new pg.Client(parseDatabaseUrl(databaseUrl));
  client.on('error', () => undefined);
  await client.connect();
  const observer = new Observer(client, limit);
  const watching = observer.run();

  const seen = [];
  let isOver = false;
  let isOverbilling = false;
  let sent = 0;
  /** Until then somebody is being killed, or has not got back what it had. */
  let unsettledUntil = 0;
  const call = async () => {
    while (!isOver) {
      const { url } = servers[random(0, SERVERS - 1)];
      if (!url) {
        await delay(20);
        continue;
      }
      sent += 1;
      const maxTokens = random(16, 400);
      const request = {
        ...{ tag: `race-${sent}`, isStreamed: Math.random() < 0.7, maxTokens, tokens: random(1, maxTokens) },
        ...{ everyMs: random(0, 3), ...(Math.random() < 0.1 ? { failsAt: 'first' } : {}) },
        ...(Math.random() < 0.1 ? { leavesAfterMs: random(1, 200) } : {}),
        ...(isOverbilling && Math.random() < 0.05 ? { overbills: 1_000 } : {}),
      };
      const open = observer.begin(request);
      const sighting = await send(url, request);
      seen.push({ ...sighting, overbills: request.overbills ?? 0 });
      const isJudged = performance.now() > unsettledUntil && !isOverbilling;
      observer.end(open, sighting, isJudged);
      if (sighting.outcome === 'FAILED') await delay(random(5, 100));
    }
  };
  const calling = Array.from({ length: callers }, call);

  const kill = async () => {
    const server = servers[random(0, SERVERS - 1)];
    unsettledUntil = Number.POSITIVE_INFINITY;
    server.url = null;
    await server.process.end('SIGKILL');
    server.process = startServer(server.env);
    server.url = await server.process.ready();
    unsettledUntil = performance.now() + RECOVERY_MS;
  };
  const end = performance.now() + seconds * 1_000;
  // The last part overbills: what is beyond a hold is a fact as well, and is flagged.
  const overbillsAt = end - seconds * 200;
  let killed = 0;
  let nextKill = performance.now() + seconds * 300;
  while (performance.now() < end) {
    await delay(250);
    if (performance.now() > overbillsAt && !isOverbilling) {
      isOverbilling = true;
      observer.isStrict = false;
    }
    if (observer.isReached) {
      limit += STEP_USD;
      observer.raise(limit);
      await setLimit();
    }
    if (performance.now() > nextKill && !isOverbilling) {
      await kill();
      killed += 1;
      nextKill = performance.now() + Math.max(seconds * 150, RECOVERY_MS + 5_000);
    }
  }
  isOver = true;
  await Promise.all(calling);
  for (const { url } of servers) await drained(url);
  await observer.stop(watching);
  for (const { process } of servers) await process.end('SIGTERM');
  observer.judge();

  const calls = Object.values(upstreams).flatMap((upstream) => upstream.calls);
  const books = await compare(parseDatabaseUrl(databaseUrl), seen, calls);
  const doctor = await examine(envs[0]);
  say(`${SERVERS} servers, ${callers} callers, ${killed} kills; clients saw ${seen.length} requests: ${count(seen)}`);
  say(`the limit was raised ${Math.round(limit / STEP_USD) - 1} times, to $${limit.toFixed(2)}; ${observer.summary}`);
  const overruns = await observer.overruns(seen);
  say(`${overruns.length} attempts cost more than was held, of ${overruns.overbilled} that were told to`);
  await client.end();
  if (observer.refusals === 0) books.violations.push('nobody was refused, so that nothing was proven');
  conclude(
    [...observer.violations, ...overruns.violations, ...books.violations],
    doctor,
    'the budget was never passed, and nobody was refused for whom there was room',
  );
} finally {
  for (const upstream of Object.values(upstreams)) upstream.close();
  await database.remove();
  for (const folder of folders) await folder.remove();
}
