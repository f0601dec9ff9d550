import type { Pool } from 'pg';
import { forgetFacts } from './gateway/ledger/forget-facts.ts';
import { deleteOldRows } from './gateway/ledger/retention.ts';
import { forgetClaims } from './gateway/replay/replay.ts';
import { ensurePartitions } from './platform/database/partitions.ts';
import type { Log } from './platform/log.ts';
import type { Settings } from './platform/settings.ts';

/** Partitions of the ledger are made two months ahead, and what is forgotten is kept for days: this is plenty. */
const EVERY_MS = 6 * 3_600_000;

/**
 * Makes the ledger's next partitions, and deletes what is kept for a time only: now and every six hours. What fails is
 * tried again the next time.
 * @returns what ends it
 */
export function startHousekeeping(
  pool: Pool,
  { decisionRetentionDays, ledgerRetentionMonths: months }: Settings,
  log: Log,
): () => void {
  const stopping = new AbortController();
  const { signal } = stopping;
  const tasks: [failure: string, run: () => Promise<unknown>][] = [
    ['no partitions were made', () => ensurePartitions(pool, new Date(), log)],
    ['what old decisions were made from was not deleted', () => forgetFacts(pool, decisionRetentionDays, signal)],
    ['old request ids were not deleted', () => forgetClaims(pool, signal)],
    [
      'old rows of the ledger were not all deleted',
      () => deleteOldRows(pool, { months, now: new Date(), signal, log }),
    ],
  ];
  const run = () => {
    for (const [failure, task] of tasks) task().catch((error) => log.warn({ err: error }, failure));
  };
  run();
  const timer = setInterval(run, EVERY_MS);
  return () => {
    clearInterval(timer);
    stopping.abort();
  };
}
