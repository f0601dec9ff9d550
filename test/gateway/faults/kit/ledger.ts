import { expect } from 'vitest';
import { eventually } from '../../../kit/eventually.ts';
import type { TestServer } from '../../../kit/server.ts';
import type { Seen } from './callers.ts';

/** Picodollars and tokens come as text. */
interface AttemptRow {
  completionId: string;
  number: number;
  status: string;
  provider: string;
  model: string;
  upstreamStatus: number | null;
  errorCode: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cost: string | null;
  costSource: string | null;
}

interface CompletionRow {
  id: string;
  status: string;
  route: string | null;
  provider: string | null;
  model: string | null;
  errorCode: string | null;
  finishReason: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cost: string | null;
  attemptCount: number;
}

export interface LedgerRecord {
  completion: CompletionRow;
  attempts: AttemptRow[];
}

const COMPLETIONS = `SELECT id, status, route_slug AS route, provider_slug AS provider, model, error_code AS "errorCode",
  finish_reason AS "finishReason", input_tokens AS "inputTokens", output_tokens AS "outputTokens", cost,
  attempt_count AS "attemptCount" FROM completions WHERE id = ANY($1)`;
const ATTEMPTS = `SELECT completion_id AS "completionId", number, status, provider_slug AS provider, model,
  upstream_status AS "upstreamStatus", error_code AS "errorCode", input_tokens AS "inputTokens",
  output_tokens AS "outputTokens", cost, cost_source AS "costSource"
  FROM attempts WHERE completion_id = ANY($1) ORDER BY number`;

/** What the ledger has of a completion, once it has its end. */
export async function ledgerOf(server: TestServer, requestId: string): Promise<LedgerRecord> {
  const record = (await ledgerOfAll(server, [requestId])).get(requestId);
  return record ?? expect.fail(`the ledger has no completion ${requestId}`);
}

/** What the ledger has of some completions, once it has the end of each. */
export async function ledgerOfAll(
  { services: { pool } }: TestServer,
  requestIds: readonly string[],
): Promise<Map<string, LedgerRecord>> {
  return eventually(async () => {
    const completions = await pool.query<CompletionRow>(COMPLETIONS, [requestIds]);
    expect(completions.rows.length).toBe(requestIds.length);
    const records = new Map<string, LedgerRecord>();
    for (const completion of completions.rows) records.set(completion.id, { completion, attempts: [] });
    const attempts = await pool.query<AttemptRow>(ATTEMPTS, [requestIds]);
    for (const attempt of attempts.rows) records.get(attempt.completionId)?.attempts.push(attempt);
    return records;
  });
}

/** Caller and ledger tell the same, the sums are sums, and what failed before its first token costs nothing. */
export function expectAgreement(seen: Seen, { completion, attempts }: LedgerRecord): void {
  expect(attempts.map(({ number }) => number)).toEqual(attempts.map((_, index) => index + 1));
  expect(completion.attemptCount).toBe(attempts.length);
  // The headers of a stream that broke off do not know of who was asked in vain to begin anew.
  const isOutdated = !seen.isWhole && seen.status === 200;
  if (isOutdated) expect(seen.attempts ?? 0).toBeLessThanOrEqual(attempts.length);
  else if (seen.attempts !== null) expect(seen.attempts).toBe(attempts.length);
  // A subscription that fails before it starts does not tell its route.
  if (seen.route !== null || seen.status !== null) expect(completion.route).toBe(seen.route);
  expect(completion.status).toBe(seen.isWhole ? 'SUCCEEDED' : 'FAILED');
  expect(completion.errorCode).toBe(seen.error?.code ?? null);
  const last = attempts.at(-1);
  for (const failed of attempts) {
    if (failed === last && seen.isWhole) continue;
    expect(failed.status).toBe('FAILED');
    expect(failed.errorCode).not.toBeNull();
    // What neither said a token nor told what it used is taken to be free.
    if (failed.inputTokens === null)
      expect(failed).toMatchObject({ outputTokens: null, cost: '0', costSource: 'FREE' });
  }
  if (seen.isWhole) {
    expect(last).toMatchObject({ status: 'SUCCEEDED', errorCode: null, costSource: 'PRICED' });
    expect(completion).toMatchObject({ provider: last?.provider, model: last?.model });
    expect(seen).toMatchObject({ provider: last?.provider, model: last?.model });
    // A stream on /v1 ends with the usage of its own answer; GraphQL tells the sums.
    const { inputTokens: input, outputTokens: output } = (seen.status === null ? completion : last) ?? {};
    if (seen.usage) expect(seen.usage).toEqual({ inputTokens: input, outputTokens: output });
    // $1 and $2 per 1M tokens.
    const { inputTokens, outputTokens, cost } = last ?? {};
    expect(cost).toBe(String((inputTokens ?? 0) * 1_000_000 + (outputTokens ?? 0) * 2_000_000));
  }
  expect(completion.cost).toBe(sum(attempts.map(({ cost }) => cost)));
  expect(String(completion.inputTokens ?? 0)).toBe(sum(attempts.map(({ inputTokens }) => inputTokens)));
  expect(String(completion.outputTokens ?? 0)).toBe(sum(attempts.map(({ outputTokens }) => outputTokens)));
}

function sum(values: readonly (string | number | null)[]): string {
  return String(values.reduce<bigint>((total, value) => total + BigInt(value ?? 0), 0n));
}
