// How fast the drain is: a journal of completions, each with an attempt that holds money of three hard budgets and of
// credits, drained into an empty database; and beside it COPY of the very same rows, as text that was written before,
// into an equal database with the same indexes. `npm run bench` prints both; the aim is a fifth of COPY.
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Leases } from '../../dist/gateway/allowances/leases.js';
import { Drain } from '../../dist/gateway/ledger/drain.js';
import { encodeIntent, encodePrice, encodeSettlement } from '../../dist/gateway/ledger/encode.js';
import { Journal } from '../../dist/gateway/ledger/journal.js';
import { openLastSegment } from '../../dist/gateway/ledger/open-journal.js';
import { comparePositions } from '../../dist/gateway/ledger/segments.js';
import { createPool } from '../../dist/platform/database/connection.js';
import { uuidv7 } from '../../dist/platform/ids.js';
import { connected, log, median, openPostgres, seedAllowances } from './postgres.mjs';

const COMPLETIONS = Number(process.env.BENCH_COMPLETIONS ?? 100_000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
/** Picodollars: 1,000 tokens of input and 16,384 of output, of a cheap model. */
const HELD = 26_614_400_000n;
const PER_TURN = 64;
const TIME_ZONE = 'UTC';
const identity = { clusterId: '01930000-0000-7000-8000-000000000099', serverId: 'bench' };
const components = { input: 400_000, output: 1_600_000 };
const priceVersionId = 'bench-price';

/** Holds money for all of them at once; each attempt then names its part. */
async function holdAll(connection, ids) {
  const pool = createPool(connection, { max: 2, applicationName: 'bench' });
  const leases = await Leases.open({ pool, serverId: 'bench', timeZone: TIME_ZONE, drained: async () => {}, log });
  const { hold } = await leases.hold({
    spender: { userId: ids.user, apiKeyId: ids.apiKey, routeId: null, providerId: ids.provider },
    creditsId: ids.credits,
    at: Date.now(),
    worst: { input: HELD * BigInt(COMPLETIONS), perToken: 1n, outputTokens: 1, fewestTokens: 1 },
  });
  await leases.abandon();
  await pool.end();
  return { ...hold, amount: HELD };
}

/** What the gateway writes for a plain completion that needs one attempt. */
function recordsOf(ids, hold, index) {
  const startedAt = Date.now();
  const latencyMs = 200 + (index % 1_900);
  const finishedAt = startedAt + latencyMs;
  const [inputTokens, outputTokens] = [20 + (index % 900), 10 + (index % 400)];
  const cost = BigInt(inputTokens * components.input + outputTokens * components.output);
  const usage = {
    ...{ inputTokens, outputTokens, cachedTokens: 0 },
    ...{ cacheWriteTokens: null, cacheWrite1hTokens: null, reasoningTokens: null },
  };
  const same = {
    ...{ status: 'SUCCEEDED', finishedAt, finishReason: 'stop', errorCode: null, errorMessage: null },
    ...{ usage, isEstimated: false, cost, latencyMs, timeToFirstTokenMs: latencyMs >> 1 },
  };
  const origin = {
    ...{ completionId: uuidv7(), startedAt, door: 'OPENAI', operation: 'CHAT', isStreamed: true },
    ...{ userId: ids.user, apiKeyId: ids.apiKey, routeId: null, routeSlug: null },
    ...{ requestedModel: 'bench/sandbox-small', configVersion: 12n, decision: null, tags: {} },
  };
  const intent = {
    ...{ origin, attemptId: uuidv7(), number: 1, startedAt, providerId: ids.provider, providerSlug: 'bench' },
    ...{ providerKeyId: null, targetId: null, usedOwnKey: false, model: 'sandbox-small', priceVersionId },
    ...{ estimate: { inputTokens, cost }, maxLiability: HELD, hold },
  };
  const attempt = {
    ...same,
    upstreamStatus: 200,
    answeredModel: 'sandbox-small',
    costSource: 'PRICED',
    priceVersionId,
  };
  const completion = {
    ...{ ...same, providerId: ids.provider, providerSlug: 'bench', model: 'sandbox-small' },
    ...{ targetId: null, isCached: false, warnings: [] },
  };
  return [encodeIntent(intent), encodeSettlement({ intent, attempt, completion })];
}

async function writeJournal(directory, ids, hold) {
  await mkdir(directory);
  const fail = (error) => {
    throw error;
  };
  const options = { directory, identity, fsync: false, onGrown: () => undefined, onError: fail };
  const journal = new Journal(options, openLastSegment(directory, identity, null, log));
  journal.append(encodePrice({ id: priceVersionId, components }), false);
  for (let index = 0; index < COMPLETIONS; ) {
    // As under load: the settlements of a turn come some turns after its intents.
    const turn = [];
    for (; turn.length < PER_TURN && index < COMPLETIONS; index++) turn.push(recordsOf(ids, hold, index));
    for (const [intent] of turn) journal.append(intent, false);
    for (const [, settlement] of turn) journal.append(settlement, true);
    await journal.flush();
  }
  const { end } = journal;
  await journal.close();
  return end;
}

/** Seconds until everything is committed. */
async function drain(connection, directory, end) {
  const startedAt = performance.now();
  let seconds = null;
  const one = new Drain({
    ...{ directory, identity, connection, timeZone: TIME_ZONE, end },
    onProgress: ({ drained }) => {
      if (comparePositions(drained, end) < 0) return;
      seconds = (performance.now() - startedAt) / 1_000;
      one.stop();
    },
    onError: (message) => {
      one.stop();
      console.error(message);
    },
  });
  await one.run();
  if (seconds === null) throw new Error('The drain failed.');
  return seconds;
}

const postgres = await openPostgres();
try {
  const ids = await seedAllowances(postgres.connection);
  const hold = await holdAll(postgres.connection, ids);
  const journal = join(postgres.folder, 'journal-of-bench');
  const end = await writeJournal(journal, ids, hold);
  const results = { drain: [], copy: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const directory = join(postgres.folder, `journal-of-round-${round}`);
    await cp(journal, directory, { recursive: true });
    const drained = await postgres.copy('drained');
    await connected(drained, (client) => client.query('CHECKPOINT'));
    results.drain.push(await drain(drained, directory, end));

    const files = await connected(drained, async (client) => {
      const { rows } = await client.query('SHOW data_directory');
      const folder = rows[0].data_directory;
      const written = ['completions', 'attempts'].map((table) => [table, join(folder, `${table}.copy`)]);
      for (const [table, file] of written) {
        const { rowCount } = await client.query(`COPY (SELECT * FROM ${table}) TO '${file}'`);
        if (rowCount !== COMPLETIONS) throw new Error(`${rowCount} rows of ${COMPLETIONS} are in ${table}.`);
      }
      return written;
    });
    const copied = await postgres.copy('copied');
    results.copy.push(
      await connected(copied, async (client) => {
        await client.query('CHECKPOINT');
        const startedAt = performance.now();
        for (const [table, file] of files) await client.query(`COPY ${table} FROM '${file}'`);
        return (performance.now() - startedAt) / 1_000;
      }),
    );
    await postgres.drop('drained');
    await postgres.drop('copied');
    await rm(directory, { recursive: true });
  }
  const rate = (seconds) => (2 * COMPLETIONS) / seconds;
  const share = median(results.drain.map((seconds, round) => results.copy[round] / seconds));
  console.log(
    `\n${COMPLETIONS} completions with an attempt each, which holds of 4 allowances (medians of ${ROUNDS} rounds)`,
  );
  console.log(`drain: ${Math.round(rate(median(results.drain)))} rows/s`);
  console.log(`COPY:  ${Math.round(rate(median(results.copy)))} rows/s`);
  console.log(`ratio: ${share.toFixed(2)} (aim: 0.20)`);
} finally {
  await postgres.close();
}
