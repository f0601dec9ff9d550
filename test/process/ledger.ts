import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { socketFolder } from '../../src/platform/socket-folder.ts';
import { eventually } from '../kit/eventually.ts';
import { API_KEY } from './server-process.ts';
import type { Sighting } from './traffic.ts';

/** A request as the log has it. */
export interface LogRow {
  id: string;
  status: string;
  cost: string | null;
  attemptCount: number;
  errorCode: string | null;
  usage: { inputTokens: number | null; outputTokens: number | null };
  tags: { name: string; value: string }[];
  attempts: { number: number; status: string; cost: string | null }[];
}

interface Page {
  requests: { nodes: LogRow[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
}

interface Summary {
  requests: string;
  succeeded: string;
  indeterminate: string;
  cost: string;
  inputTokens: string;
  outputTokens: string;
}

/** Sends an operation as the admin. */
export async function ask<Data>(url: string, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: Data; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** The whole request log. */
async function readLog(url: string): Promise<LogRow[]> {
  const rows: LogRow[] = [];
  for (let after: string | null = null; ; ) {
    const { requests }: Page = await ask<Page>(url, LOG, { after });
    rows.push(...requests.nodes);
    after = requests.pageInfo.endCursor;
    if (!requests.pageInfo.hasNextPage) return rows;
  }
}

/** The sums over everything. */
async function readSummary(url: string): Promise<Summary> {
  return (await ask<{ metrics: { summary: Summary } }>(url, SUMMARY)).metrics.summary;
}

/** Waits until the journal is in Postgres, after Postgres was away as well. */
export async function drained(url: string): Promise<void> {
  await eventually(async () => {
    const health = (await (await fetch(`${url}/health`)).json()) as { checks: { ledger: object } };
    expect(health.checks.ledger).toMatchObject({ status: 'ok', pendingBytes: 0 });
  }, 60_000);
}

/**
 * Expects all that clients saw, and nothing else, to be in the log once: complete answers as SUCCEEDED with the usage
 * and the cost that the client was told, everything else that was dispatched with one of `others`.
 */
export async function expectWhole(url: string, dataDir: string, seen: Sighting[], others: string[]): Promise<void> {
  const rows = await readLog(url);
  const byTag = new Map(rows.map((row) => [tagOf(row), row]));
  expect(rows.length, 'a request is in the log twice').toBe(byTag.size);
  for (const { tag, outcome, requestId, usage, cost } of seen) {
    const row = byTag.get(tag);
    byTag.delete(tag);
    if (outcome === 'COMPLETE') expect(row).toMatchObject({ id: requestId, status: 'SUCCEEDED', usage, cost });
    // Without headers nobody knows whether it was dispatched, or even arrived.
    else if (requestId !== null || row) expect([tag, row?.status]).toEqual([tag, expect.toBeOneOf(others)]);
  }
  expect([...byTag.keys()], 'in the log, but sent by nobody').toEqual([]);

  for (const { id, attemptCount, attempts, cost } of rows) {
    expect([id, attempts.length]).toEqual([id, attemptCount]);
    expect([id, sum(attempts.map((attempt) => attempt.cost))]).toEqual([id, toPicodollars(cost)]);
  }
  const summary = await readSummary(url);
  expect(summary).toMatchObject({
    requests: String(rows.length),
    succeeded: String(rows.filter(({ status }) => status === 'SUCCEEDED').length),
    inputTokens: String(rows.reduce((total, { usage }) => total + (usage.inputTokens ?? 0), 0)),
    outputTokens: String(rows.reduce((total, { usage }) => total + (usage.outputTokens ?? 0), 0)),
  });
  expect(toPicodollars(summary.cost)).toBe(sum(rows.map(({ cost }) => cost)));
  expect(await countOrphans(dataDir)).toBe(0);
}

/** Attempts in the embedded Postgres whose completion is not there. */
async function countOrphans(dataDir: string): Promise<number> {
  const host = await socketFolder(join(dataDir, 'postgres-run'), '.s.PGSQL.5432.lock', null);
  const client = new pg.Client({ host, user: 'signalbox', database: 'signalbox' });
  await client.connect();
  const { rowCount } = await client.query(
    'SELECT FROM attempts a WHERE NOT EXISTS (SELECT FROM completions c WHERE c.id = a.completion_id)',
  );
  await client.end();
  return rowCount ?? 0;
}

/** The request's tag that names it; see Ask. */
function tagOf(row: LogRow): string | undefined {
  return row.tags.find(({ name }) => name === 'test')?.value;
}

function sum(costs: (string | null)[]): bigint {
  return costs.reduce((total, cost) => total + toPicodollars(cost), 0n);
}

/** Decimal dollars, to be summed exactly. */
function toPicodollars(usd: string | null): bigint {
  const [whole = '0', fraction = ''] = (usd ?? '0').split('.');
  return BigInt(whole + fraction.padEnd(12, '0'));
}

const LOG = `query ($after: String) {
  requests(first: 100, after: $after) {
    nodes {
      id status cost attemptCount errorCode usage { inputTokens outputTokens } tags { name value }
      attempts { number status cost }
    }
    pageInfo { hasNextPage endCursor }
  }
}`;

const SUMMARY = `{
  metrics(range: LAST_24_HOURS) { summary { requests succeeded indeterminate cost inputTokens outputTokens } }
}`;
