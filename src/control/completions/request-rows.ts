import type { Pool } from 'pg';
import { type CorrectionJson, correctionsWhere, effective, toCorrections } from '../../gateway/ledger/effective.ts';
import { type CostSource, impliedCostSource } from '../../gateway/ledger/prices.ts';
import type { Door, Operation, RequestStatus } from '../../gateway/ledger/records.ts';
import { type Totals, totalsOf } from '../../gateway/ledger/settlement.ts';
import { ERROR_CODES, type ErrorCode } from '../../platform/errors.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import { once } from '../../platform/once.ts';
import type { LoggedRequest } from './logged-request.ts';
import type { Condition } from './request-filter.ts';
import type { ShownAttempt } from './types.ts';

interface OutcomeRow {
  id: string;
  status: RequestStatus;
  started_at: Date;
  finished_at: Date;
  provider_slug: string | null;
  model: string | null;
  finish_reason: string | null;
  error_code: string | null;
  error_message: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  reasoning_tokens: number | null;
  is_estimated: boolean;
  cost: string | null;
  latency_ms: number;
  time_to_first_token_ms: number | null;
  target_id: string | null;
}

interface CompletionRow extends OutcomeRow {
  seq: string;
  door: Door;
  operation: Operation;
  is_streamed: boolean;
  user_id: string | null;
  api_key_id: string | null;
  route_slug: string | null;
  requested_model: string | null;
  attempt_count: number;
  config_version: string;
  tags: Record<string, string>;
  warnings: string[];
  is_cached: boolean;
  /** All attempts of one of which something became known later; null: of none. */
  corrected: AttemptRow[] | null;
}

interface AttemptRow extends OutcomeRow {
  completion_id: string;
  number: number;
  provider_slug: string;
  model: string;
  answered_model: string | null;
  upstream_status: number | null;
  cache_write_tokens: number | null;
  cache_write_1h_tokens: number | null;
  cost_source: CostSource | null;
  price_version_id: string | null;
  used_own_key: boolean;
  held: string | null;
  corrections: CorrectionJson[] | null;
}

const OUTCOME = `id, status::text, started_at, finished_at, provider_slug, model, finish_reason, error_code, error_message,
  input_tokens, output_tokens, cached_tokens, reasoning_tokens, is_estimated, cost::text, latency_ms, time_to_first_token_ms,
  target_id`;

const ATTEMPT = `${OUTCOME}, completion_id, number, answered_model, upstream_status, cache_write_tokens,
  cache_write_1h_tokens, cost_source::text, price_version_id, used_own_key, held::text,
  ${correctionsWhere('k.attempt_id = attempts.id')} AS corrections`;

/** What a completion costs is what its attempts do: the few that were corrected bring them along. */
const CORRECTED = `CASE WHEN EXISTS (SELECT FROM corrections k WHERE k.completion_id = completions.id) THEN (
  SELECT json_agg(one ORDER BY number) FROM (
    SELECT ${ATTEMPT} FROM attempts WHERE completion_id = completions.id
  ) AS one) END AS corrected`;

/** How a list of requests is sorted: newest first, or as they were committed. `seq` alone would be the text of it. */
type Order = 'id DESC' | 'completions.seq';

/** The first `limit` of those that `condition` lets through. */
export async function readRequests(
  pool: Pool,
  condition: Condition,
  order: Order,
  limit: number,
): Promise<LoggedRequest[]> {
  const { rows } = await pool.query<CompletionRow>(
    `SELECT ${OUTCOME}, seq::text, door, operation, is_streamed, user_id, api_key_id, route_slug, requested_model, attempt_count,
            config_version::text, tags, warnings, is_cached, ${CORRECTED}
       FROM completions WHERE ${condition.sql} ORDER BY ${order} LIMIT ${limit}`,
    condition.values,
  );
  const ids = rows.map(({ id }) => id);
  const attempts = once(() => readAttempts(pool, ids));
  return rows.map((row) => toRequest(row, attempts));
}

type Attempts = ReadonlyMap<string, ShownAttempt[]>;

export async function countRequests(pool: Pool, condition: Condition): Promise<number> {
  const sql = `SELECT count(*)::int AS count FROM completions WHERE ${condition.sql}`;
  const { rows } = await pool.query<{ count: number }>(sql, condition.values);
  return rows[0]?.count ?? 0;
}

async function readAttempts(pool: Pool, completionIds: readonly string[]): Promise<Attempts> {
  const attempts = new Map<string, ShownAttempt[]>();
  const { rows } = await pool.query<AttemptRow>(
    `SELECT ${ATTEMPT}
       FROM attempts WHERE completion_id = ANY($1::uuid[]) ORDER BY completion_id, number`,
    [completionIds],
  );
  for (const row of rows) {
    const list = attempts.get(row.completion_id);
    if (list) list.push(toAttempt(row));
    else attempts.set(row.completion_id, [toAttempt(row)]);
  }
  return attempts;
}

function toRequest(row: CompletionRow, attempts: () => Promise<Attempts>): LoggedRequest {
  const { id, corrected } = row;
  const { usage, isEstimated, cost } = corrected ? totalsOf(corrected.map(toAttempt)) : chargeOf(row);
  return {
    id,
    seq: BigInt(row.seq),
    status: row.status,
    door: row.door,
    operation: row.operation,
    isStreamed: row.is_streamed,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    userId: row.user_id,
    apiKeyId: row.api_key_id,
    route: row.route_slug,
    requestedModel: row.requested_model,
    provider: row.provider_slug,
    model: row.model,
    targetId: row.target_id,
    isCached: row.is_cached,
    finishReason: row.finish_reason,
    errorCode: row.error_code,
    errorMessage: row.error_message,
    usage: { ...usage, isEstimated },
    cost,
    latencyMs: row.latency_ms,
    timeToFirstTokenMs: row.time_to_first_token_ms,
    attemptCount: row.attempt_count,
    configVersion: BigInt(row.config_version),
    tags: row.tags,
    warnings: row.warnings,
    attempts: async () => (await attempts()).get(id) ?? [],
  };
}

function toAttempt(row: AttemptRow): ShownAttempt {
  const cost = toMoney(row.cost);
  const corrections = toCorrections(row.corrections);
  const attempt: ShownAttempt = {
    id: row.id,
    number: row.number,
    provider: row.provider_slug,
    model: row.model,
    targetId: row.target_id,
    usedOwnKey: row.used_own_key,
    answeredModel: row.answered_model,
    status: row.status,
    // As JSON has it, or as the driver does.
    startedAt: new Date(row.started_at).getTime(),
    finishedAt: new Date(row.finished_at).getTime(),
    held: toMoney(row.held),
    corrections,
    upstreamStatus: row.upstream_status,
    finishReason: row.finish_reason,
    errorCode: toErrorCode(row.error_code),
    errorMessage: row.error_message,
    usage: {
      ...chargeOf(row).usage,
      cacheWriteTokens: row.cache_write_tokens,
      cacheWrite1hTokens: row.cache_write_1h_tokens,
    },
    isEstimated: row.is_estimated,
    cost,
    costSource: row.cost_source ?? impliedCostSource(cost, row.input_tokens),
    priceVersionId: row.price_version_id,
    latencyMs: row.latency_ms,
    timeToFirstTokenMs: row.time_to_first_token_ms,
  };
  return effective(attempt, corrections);
}

/** Of the cache's tokens only those that completions have. */
function chargeOf(row: OutcomeRow): Totals {
  return {
    usage: {
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      cachedTokens: row.cached_tokens,
      cacheWriteTokens: null,
      cacheWrite1hTokens: null,
      reasoningTokens: row.reasoning_tokens,
    },
    isEstimated: row.is_estimated,
    cost: toMoney(row.cost),
  };
}

function toMoney(text: string | null): Picodollars | null {
  return text === null ? null : picodollars(BigInt(text));
}

/** A newer version of Signalbox may have written codes that this one does not know. */
export function toErrorCode(code: string | null): ErrorCode | null {
  if (code === null) return null;
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'INTERNAL';
}
