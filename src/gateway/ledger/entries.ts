import type pg from 'pg';
import type { Spending, SpendingPoster } from '../allowances/post-spending.ts';
import type { Charge, Correction } from './effective.ts';
import { advanceHead, insertPrices, type LedgerHead } from './post.ts';
import type { PriceVersion } from './prices.ts';
import { addRollups, foldRollups, type RollupCorrection, type RollupEntry } from './rollups.ts';
import {
  CORRECTION_COLUMNS,
  correctionRow,
  insertRows,
  USAGE_EVENT_COLUMNS,
  USAGE_KEY_COLUMNS,
  usageEventRow,
  usageKeyRow,
} from './rows.ts';

/** A caller's own name for a usage event, and the SHA-256 (hex) of what was reported under it. */
export interface UsageKey {
  key: string;
  fingerprint: string;
}

/** Usage that was made elsewhere. Times are milliseconds since 1970. */
export interface NewUsageEvent extends Omit<Charge, 'isEstimated'> {
  id: string;
  occurredAt: number;
  recordedAt: number;
  userId: string;
  apiKeyId: string | null;
  /** Null: no provider has the name that was given. */
  providerId: string | null;
  providerSlug: string;
  model: string;
  latencyMs: number | null;
  metadata: Readonly<Record<string, unknown>>;
  key: UsageKey | null;
}

/** What a correction is about. */
export type Corrected = { attemptId: string; completionId: string } | { usageEventId: string };

export interface NewCorrection extends Omit<Correction, 'seq' | 'createdAt'> {
  subject: Corrected;
}

/** What is added to the ledger beside completions, with what it adds to the sums. */
export interface Entries {
  events: NewUsageEvent[];
  corrections: NewCorrection[];
  /** At least those that the rows name and Postgres may not have. */
  prices: PriceVersion[];
  /** Of the events. */
  sums: RollupEntry[];
  /** Of the corrections. */
  differences: RollupCorrection[];
  spendings: Spending[];
}

export function noEntries(): Entries {
  return { events: [], corrections: [], prices: [], sums: [], differences: [], spendings: [] };
}

/**
 * Writes entries, in a transaction that holds the ledger's head; `postSpendings` is to follow. As many statements for one
 * as for a thousand.
 * @returns the latest `seq`
 */
export async function postEntries(
  client: pg.ClientBase,
  { seq: before }: LedgerHead,
  { events, corrections, prices, sums, differences }: Entries,
): Promise<bigint> {
  let seq = before;
  const insert = async (statement: string, rows: readonly unknown[]) => {
    if (rows.length > 0) await client.query(statement, [JSON.stringify(rows)]);
  };
  const named = new Map(prices.map((price) => [price.id, price]));
  if (named.size > 0) await insertPrices(client, [...named.values()]);
  await insert(
    INSERT_EVENTS,
    events.map((event) => usageEventRow(event, ++seq)),
  );
  await insert(
    INSERT_KEYS,
    events.flatMap((event) => (event.key ? [usageKeyRow(event, event.key)] : [])),
  );
  await insert(
    INSERT_CORRECTIONS,
    corrections.map((correction) => correctionRow(correction, ++seq)),
  );
  if (seq === before) return seq;
  await addRollups(client, foldRollups(sums, differences));
  await advanceHead(client, seq);
  return seq;
}

/** Counts them in budgets and credits, as the last thing of the transaction: from here on allowances are locked. */
export async function postSpendings(
  client: pg.ClientBase,
  spending: SpendingPoster,
  { budgetsVersion }: LedgerHead,
  { spendings }: Entries,
): Promise<void> {
  if (spendings.length > 0) await spending.post(client, spendings, budgetsVersion);
}

const INSERT_EVENTS = insertRows('usage_events', USAGE_EVENT_COLUMNS);
const INSERT_KEYS = insertRows('usage_keys', USAGE_KEY_COLUMNS);
const INSERT_CORRECTIONS = insertRows('corrections', CORRECTION_COLUMNS);
