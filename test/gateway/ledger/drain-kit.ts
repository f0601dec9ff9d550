import type pg from 'pg';
import { expect, onTestFinished } from 'vitest';
import { Drain } from '../../../src/gateway/ledger/drain.ts';
import { encodeFact, encodeIntent, encodeSettlement, encodeUnattempted } from '../../../src/gateway/ledger/encode.ts';
import { Journal } from '../../../src/gateway/ledger/journal.ts';
import { openLastSegment } from '../../../src/gateway/ledger/open-journal.ts';
import type { Intent, Settlement } from '../../../src/gateway/ledger/records.ts';
import { comparePositions } from '../../../src/gateway/ledger/segments.ts';
import type { RoutingFact } from '../../../src/gateway/routing/decision.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { until } from '../../kit/eventually.ts';
import { type cached, expectRollups, folder, type LedgerDatabase, ledgerSums, recordedLog } from './kit.ts';
import type { randomCompletions } from './random-completions.ts';

/** A journal and what drains it, in this thread. */
export async function server(database: LedgerDatabase, connection: pg.ClientConfig = database.connection) {
  const directory = folder();
  const identity = { clusterId: database.clusterId, serverId: `server-${uuidv7()}` };
  const last = openLastSegment(directory, identity, null, recordedLog().log);
  let drain: Drain | null = null;
  const options = { directory, identity, fsync: false, onError: () => {} };
  const journal = new Journal({ ...options, onGrown: (end) => drain?.extend(end) }, last);
  const errors: string[] = [];
  let drained = { segment: 0, offset: 0 };
  let running = Promise.resolve();
  const stop = async () => {
    drain?.stop();
    await running;
    drain = null;
  };
  onTestFinished(async () => {
    await stop();
    await journal.close();
  });
  return {
    directory,
    identity,
    journal,
    errors,
    intend: (record: Intent) => journal.append(encodeIntent(record), false),
    settle: (record: Settlement) => journal.append(encodeSettlement(record), true),
    complete: ({ origin, outcome: ended }: ReturnType<typeof cached>) =>
      journal.append(encodeUnattempted(origin, ended), true),
    record: (fact: RoutingFact) => journal.append(encodeFact(fact) ?? '', false),
    start() {
      drained = { segment: 0, offset: 0 };
      drain = new Drain({
        timeZone: 'UTC',
        directory,
        identity,
        connection,
        end: journal.end,
        onProgress: (progress) => {
          drained = progress.drained;
        },
        onError: (message) => errors.push(message),
      });
      running = drain.run();
    },
    stop,
    drained: () => until(() => comparePositions(drained, journal.end) >= 0),
  };
}

export async function write(
  { intend, settle, complete }: Awaited<ReturnType<typeof server>>,
  completions: ReturnType<typeof randomCompletions>,
) {
  for (let index = 0; index < completions.length; index += 10)
    await Promise.all(
      completions.slice(index, index + 10).map(async ({ intents, settlements, unattempted }) => {
        if (unattempted) await complete(unattempted);
        for (const [number, record] of intents.entries()) {
          await intend(record);
          await settle(settlements[number] as Settlement);
        }
      }),
    );
}

export async function expectWhole(database: LedgerDatabase, completions: number, attempts: number) {
  const [counts] = await database.query(`
    SELECT (SELECT count(*)::int FROM completions) AS completions, (SELECT count(*)::int FROM attempts) AS attempts,
      (SELECT sum(attempt_count)::int FROM completions) AS attempt_count,
      (SELECT count(DISTINCT seq)::int FROM completions) AS seqs, (SELECT min(seq)::int FROM completions) AS first,
      (SELECT max(seq)::int FROM completions) AS last, (SELECT seq::int FROM ledger_head) AS head`);
  expect(counts).toEqual({
    completions,
    attempts,
    attempt_count: attempts,
    seqs: completions,
    first: 1,
    last: completions,
    head: completions,
  });
  const sums = await ledgerSums(database);
  expect(sums.rollups).toEqual([sums.rows, sums.rows]);
  expect(sums.latencies).toEqual([`${completions}`, `${completions}`]);
  await expectRollups(database);
}
