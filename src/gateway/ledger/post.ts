import type pg from 'pg';
import type { Spending, SpendingPoster } from '../allowances/post-spending.ts';
import type { RoutingFact } from '../routing/decision.ts';
import { copyRows, copyText } from './copy-rows.ts';
import { LEDGER_CHANNEL } from './ledger-seq.ts';
import type { SettledAttempt, SettledCompletion } from './open-completions.ts';
import type { PriceVersion } from './prices.ts';
import { addRollups, foldRollups, type RollupEntry } from './rollups.ts';
import {
  ATTEMPT_COLUMNS,
  attemptRow,
  COMPLETION_COLUMNS,
  completionRow,
  FACT_COLUMNS,
  insertRows,
  PRICE_COLUMNS,
} from './rows.ts';
import type { Position } from './segments.ts';
import { type SeriesIds, seriesOfAttempt, seriesOfCompletion } from './series.ts';

/** What a stretch of the journal settled. */
export interface Batch {
  attempts: SettledAttempt[];
  completions: SettledCompletion[];
  /** At least those that the attempts name and Postgres may not have. */
  prices: PriceVersion[];
  /** What decisions name that come after them. */
  facts: RoutingFact[];
  /** Where reading has to begin after a restart, once this is committed. */
  position: Position;
}

/** Where the ledger and this server's journal stand in Postgres. */
export interface LedgerState {
  /** The latest `seq`. */
  seq: bigint;
  /** Null before the first batch of this server. */
  position: Position | null;
}

/** Reads where the ledger and a server's journal stand. */
export async function readState(client: pg.ClientBase, serverId: string): Promise<LedgerState> {
  const { rows } = await client.query<{ seq: string; segment: string | null; offset: string | null }>(
    `SELECT head.seq::text, position.segment::text, position."offset"::text
     FROM ledger_head head LEFT JOIN ledger_positions position ON position.server_id = $1
     WHERE head.id = 1`,
    [serverId],
  );
  const row = rows[0];
  if (!row) throw new Error('The table ledger_head has no row; run the migrations.');
  const { seq, segment, offset } = row;
  return {
    seq: BigInt(seq),
    position: segment === null ? null : { segment: Number(segment), offset: Number(offset) },
  };
}

/**
 * Writes a batch in one transaction. Holding the ledger's head from its first statement on makes `seq` the order of
 * commits, without gaps, and keeps roll-ups from deadlocking. Posting the same batch again changes
 * nothing but when its facts were used last.
 * @param meanwhile what there is to do while Postgres takes the rows; called once, and must not throw
 * @returns the latest `seq`.
 */
export async function postBatch(
  client: pg.ClientBase,
  serverId: string,
  { series, spending }: Totals,
  batch: Batch,
  meanwhile: () => void = () => undefined,
): Promise<bigint> {
  const { attempts, completions } = batch;
  const ids = await series.of(client, [...completions.map(seriesOfCompletion), ...attempts.map(seriesOfAttempt)]);
  const seriesIds = { completions: ids.slice(0, completions.length), attempts: ids.slice(completions.length) };
  await client.query('BEGIN');
  try {
    const seq = await post(client, serverId, batch, seriesIds, spending, meanwhile);
    await client.query('COMMIT');
    return seq;
  } catch (error) {
    // The connection may be what failed.
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** What keeps the sums over the ledger, and remembers from one batch to the next. */
export interface Totals {
  series: SeriesIds;
  spending: SpendingPoster;
}

/** The ids of the series that the members of a batch belong to, in the same order. */
interface BatchSeries {
  completions: readonly string[];
  attempts: readonly string[];
}

async function post(
  client: pg.ClientBase,
  serverId: string,
  { attempts, completions, prices, facts, position }: Batch,
  seriesIds: BatchSeries,
  spending: SpendingPoster,
  meanwhile: () => void,
): Promise<bigint> {
  const { seq: before, budgetsVersion } = await lockHead(client);
  const knownCompletions = await knownIds(
    client,
    'completions',
    completions.map(({ origin }) => origin.completionId),
  );
  const knownAttempts = await knownIds(
    client,
    'attempts',
    attempts.map(({ intent }) => intent.attemptId),
  );
  const entries: RollupEntry[] = [];
  const spendings: Spending[] = [];
  let seq = before;
  const completionRows = completions.flatMap((completion, index) => {
    const { origin, outcome } = completion;
    if (knownCompletions.has(origin.completionId)) return [];
    entries.push({ seriesId: seriesIds.completions[index] as string, startedAt: origin.startedAt, outcome });
    seq += 1n;
    return [completionRow(completion, seq, serverId)];
  });
  // What comes next is made ready while Postgres works.
  const completionsTaken = copyRows(
    client,
    'completions',
    COMPLETION_COLUMNS,
    copyText(COMPLETION_COLUMNS, completionRows),
  );
  const attemptRows = attempts.flatMap((attempt, index) => {
    const { intent, outcome } = attempt;
    if (knownAttempts.has(intent.attemptId)) return [];
    const { startedAt } = intent.origin;
    entries.push({ seriesId: seriesIds.attempts[index] as string, startedAt, outcome });
    spendings.push(spendingOf(attempt));
    return [attemptRow(attempt)];
  });
  const attemptText = copyText(ATTEMPT_COLUMNS, attemptRows);
  await completionsTaken;
  const attemptsTaken = copyRows(client, 'attempts', ATTEMPT_COLUMNS, attemptText);
  const sums = foldRollups(entries);
  meanwhile();
  await attemptsTaken;
  if (prices.length > 0) await insertPrices(client, prices);
  if (facts.length > 0) await insertNamed(client, INSERT_FACTS, facts);
  if (sums.length > 0) await addRollups(client, sums);
  if (seq > before) await advanceHead(client, seq);
  await client.query(ADVANCE, [serverId, position.segment, position.offset]);
  if (spendings.length > 0) await spending.post(client, spendings, budgetsVersion);
  return seq;
}

/** Where the ledger is, and which budgets hold there. */
export interface LedgerHead {
  seq: bigint;
  budgetsVersion: bigint;
}

/** Holds the ledger's head until the transaction ends. */
export async function lockHead(client: pg.ClientBase): Promise<LedgerHead> {
  const { rows } = await client.query<{ seq: string; budgetsVersion: string }>(
    `SELECT seq::text, budgets_version::text AS "budgetsVersion" FROM ledger_head WHERE id = 1 FOR UPDATE`,
  );
  const head = rows[0];
  if (!head) throw new Error('The table ledger_head has no row; run the migrations.');
  return { seq: BigInt(head.seq), budgetsVersion: BigInt(head.budgetsVersion) };
}

/** Tells all servers, once this is committed, that the ledger goes up to `seq`. The caller holds its head. */
export async function advanceHead(client: pg.ClientBase, seq: bigint): Promise<void> {
  await client.query('UPDATE ledger_head SET seq = $1 WHERE id = 1', [seq.toString()]);
  await client.query('SELECT pg_notify($1, $2)', [LEDGER_CHANNEL, seq.toString()]);
}

/** What of an attempt counts in budgets and credits. A call with the user's own key is free of credits. */
function spendingOf({ intent, outcome }: SettledAttempt): Spending {
  const { userId, apiKeyId, routeId, startedAt } = intent.origin;
  return {
    userId,
    apiKeyId,
    routeId,
    providerId: intent.providerId,
    at: startedAt,
    amount: outcome.cost ?? 0n,
    creditsOf: intent.usedOwnKey ? null : userId,
    hold: intent.hold,
  };
}

/** Those that are in the ledger already. The head is held, so no one adds them meanwhile. */
async function knownIds(
  client: pg.ClientBase,
  table: 'completions' | 'attempts',
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const { rows } = await client.query<{ id: string }>(`SELECT id FROM ${table} WHERE id = ANY($1::uuid[])`, [ids]);
  return new Set(rows.map(({ id }) => id));
}

/** Those that are not there yet. */
export async function insertPrices(client: pg.ClientBase, prices: readonly PriceVersion[]): Promise<void> {
  await insertNamed(client, INSERT_PRICES, prices);
}

/** In the order of their ids, as whoever else adds such rows does, so that none waits for another in a circle. */
async function insertNamed(client: pg.ClientBase, insert: string, named: readonly { id: string }[]): Promise<void> {
  const rows = [...named].sort((a, b) => (a.id < b.id ? -1 : 1));
  await client.query(insert, [JSON.stringify(rows)]);
}

const INSERT_PRICES = insertRows('price_versions', PRICE_COLUMNS);
/** They are written again while they are in use. */
const INSERT_FACTS = insertRows('routing_facts', FACT_COLUMNS, '(id) DO UPDATE SET created_at = excluded.created_at');

/** Never backwards: a transaction of a connection that was given up may still commit. */
const ADVANCE = `
  INSERT INTO ledger_positions (server_id, segment, "offset", updated_at) VALUES ($1, $2, $3, now())
  ON CONFLICT (server_id) DO UPDATE SET segment = excluded.segment, "offset" = excluded."offset", updated_at = now()
  WHERE (ledger_positions.segment, ledger_positions."offset") < (excluded.segment, excluded."offset")`;
