import type { NewCorrection, NewUsageEvent, UsageKey } from './entries.ts';
import type { SettledAttempt, SettledCompletion } from './open-completions.ts';
import type { Usage } from './prices.ts';

/** The columns of `completions`, with the types that `json_to_recordset` reads them as. */
export const COMPLETION_COLUMNS = {
  id: 'uuid',
  seq: 'bigint',
  server_id: 'text',
  started_at: 'timestamptz',
  finished_at: 'timestamptz',
  status: '"RequestStatus"',
  door: 'text',
  operation: 'text',
  is_streamed: 'boolean',
  user_id: 'uuid',
  api_key_id: 'uuid',
  route_id: 'uuid',
  route_slug: 'text',
  requested_model: 'text',
  provider_id: 'uuid',
  provider_slug: 'text',
  model: 'text',
  finish_reason: 'text',
  error_code: 'text',
  error_message: 'text',
  input_tokens: 'integer',
  output_tokens: 'integer',
  cached_tokens: 'integer',
  reasoning_tokens: 'integer',
  is_estimated: 'boolean',
  cost: 'bigint',
  latency_ms: 'integer',
  time_to_first_token_ms: 'integer',
  attempt_count: 'integer',
  config_version: 'bigint',
  tags: 'jsonb',
  warnings: 'text[]',
  target_id: 'uuid',
  decision: 'jsonb',
  is_cached: 'boolean',
} as const;

/** The tokens of one call, in every table that has them. */
const TOKEN_COLUMNS = {
  input_tokens: 'integer',
  output_tokens: 'integer',
  cached_tokens: 'integer',
  cache_write_tokens: 'integer',
  cache_write_1h_tokens: 'integer',
  reasoning_tokens: 'integer',
} as const;

/** The columns of `attempts`. */
export const ATTEMPT_COLUMNS = {
  id: 'uuid',
  completion_id: 'uuid',
  number: 'integer',
  started_at: 'timestamptz',
  finished_at: 'timestamptz',
  status: '"RequestStatus"',
  provider_id: 'uuid',
  provider_slug: 'text',
  provider_key_id: 'uuid',
  used_own_key: 'boolean',
  model: 'text',
  answered_model: 'text',
  upstream_status: 'integer',
  finish_reason: 'text',
  error_code: 'text',
  error_message: 'text',
  ...TOKEN_COLUMNS,
  is_estimated: 'boolean',
  price_version_id: 'text',
  cost: 'bigint',
  cost_source: '"CostSource"',
  max_liability: 'bigint',
  latency_ms: 'integer',
  time_to_first_token_ms: 'integer',
  target_id: 'uuid',
  held: 'bigint',
} as const;

/** The columns of `usage_events`. */
export const USAGE_EVENT_COLUMNS = {
  id: 'uuid',
  seq: 'bigint',
  occurred_at: 'timestamptz',
  recorded_at: 'timestamptz',
  user_id: 'uuid',
  api_key_id: 'uuid',
  provider_id: 'uuid',
  provider_slug: 'text',
  model: 'text',
  ...TOKEN_COLUMNS,
  cost: 'bigint',
  cost_source: '"CostSource"',
  price_version_id: 'text',
  latency_ms: 'integer',
  metadata: 'jsonb',
  idempotency_key: 'text',
} as const;

export const USAGE_KEY_COLUMNS = { user_id: 'uuid', key: 'text', event_id: 'uuid', fingerprint: 'text' } as const;

/** The columns of `corrections` but the time, which Postgres tells. */
export const CORRECTION_COLUMNS = {
  id: 'uuid',
  seq: 'bigint',
  reason: '"CorrectionReason"',
  attempt_id: 'uuid',
  completion_id: 'uuid',
  usage_event_id: 'uuid',
  ...TOKEN_COLUMNS,
  cost: 'bigint',
  cost_source: '"CostSource"',
  price_version_id: 'text',
  difference: 'bigint',
  was_unpriced: 'boolean',
  corrected_by: 'uuid',
} as const;

export const PRICE_COLUMNS = { id: 'text', components: 'jsonb' } as const;
export const FACT_COLUMNS = { id: 'text', content: 'jsonb' } as const;

/**
 * An insert of all members of a JSON array of such rows.
 * @param onConflict what becomes of rows that are there already; by default they stay as they are
 */
export function insertRows(
  table: string,
  columns: Readonly<Record<string, string>>,
  onConflict = 'DO NOTHING',
): string {
  const names = Object.keys(columns).join(', ');
  const typed = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
  return `INSERT INTO ${table} (${names}) SELECT ${names} FROM json_to_recordset($1) AS row (${typed.join(', ')})
          ON CONFLICT ${onConflict}`;
}

export function completionRow(
  { origin, outcome, attemptCount }: SettledCompletion,
  seq: bigint,
  serverId: string,
): Record<keyof typeof COMPLETION_COLUMNS, unknown> {
  return {
    id: origin.completionId,
    seq: seq.toString(),
    server_id: serverId,
    started_at: timestamp(origin.startedAt),
    finished_at: timestamp(outcome.finishedAt),
    status: outcome.status,
    door: origin.door,
    operation: origin.operation,
    is_streamed: origin.isStreamed,
    user_id: origin.userId,
    api_key_id: origin.apiKeyId,
    route_id: origin.routeId,
    route_slug: origin.routeSlug,
    requested_model: origin.requestedModel,
    provider_id: outcome.providerId,
    provider_slug: outcome.providerSlug,
    model: outcome.model,
    finish_reason: outcome.finishReason,
    error_code: outcome.errorCode,
    error_message: outcome.errorMessage,
    input_tokens: outcome.usage.inputTokens,
    output_tokens: outcome.usage.outputTokens,
    cached_tokens: outcome.usage.cachedTokens,
    reasoning_tokens: outcome.usage.reasoningTokens,
    is_estimated: outcome.isEstimated,
    cost: outcome.cost?.toString() ?? null,
    latency_ms: outcome.latencyMs,
    time_to_first_token_ms: outcome.timeToFirstTokenMs,
    attempt_count: attemptCount,
    config_version: origin.configVersion.toString(),
    tags: origin.tags,
    warnings: outcome.warnings,
    target_id: outcome.targetId,
    decision: origin.decision,
    is_cached: outcome.isCached,
  };
}

export function attemptRow({ intent, outcome }: SettledAttempt): Record<keyof typeof ATTEMPT_COLUMNS, unknown> {
  return {
    id: intent.attemptId,
    completion_id: intent.origin.completionId,
    number: intent.number,
    started_at: timestamp(intent.startedAt),
    finished_at: timestamp(outcome.finishedAt),
    status: outcome.status,
    provider_id: intent.providerId,
    provider_slug: intent.providerSlug,
    provider_key_id: intent.providerKeyId,
    used_own_key: intent.usedOwnKey,
    model: intent.model,
    answered_model: outcome.answeredModel,
    upstream_status: outcome.upstreamStatus,
    finish_reason: outcome.finishReason,
    error_code: outcome.errorCode,
    error_message: outcome.errorMessage,
    ...tokenColumns(outcome.usage),
    is_estimated: outcome.isEstimated,
    price_version_id: outcome.priceVersionId,
    cost: outcome.cost?.toString() ?? null,
    cost_source: outcome.costSource,
    max_liability: intent.maxLiability?.toString() ?? null,
    latency_ms: outcome.latencyMs,
    time_to_first_token_ms: outcome.timeToFirstTokenMs,
    target_id: intent.targetId,
    held: intent.hold?.amount.toString() ?? null,
  };
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}

/** The columns of a row that hold tokens. */
function tokenColumns(usage: Usage) {
  return {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cached_tokens: usage.cachedTokens,
    cache_write_tokens: usage.cacheWriteTokens,
    cache_write_1h_tokens: usage.cacheWrite1hTokens,
    reasoning_tokens: usage.reasoningTokens,
  };
}

export function usageEventRow(event: NewUsageEvent, seq: bigint): Record<keyof typeof USAGE_EVENT_COLUMNS, unknown> {
  return {
    id: event.id,
    seq: seq.toString(),
    occurred_at: timestamp(event.occurredAt),
    recorded_at: timestamp(event.recordedAt),
    user_id: event.userId,
    api_key_id: event.apiKeyId,
    provider_id: event.providerId,
    provider_slug: event.providerSlug,
    model: event.model,
    ...tokenColumns(event.usage),
    cost: event.cost?.toString() ?? null,
    cost_source: event.costSource,
    price_version_id: event.priceVersionId,
    latency_ms: event.latencyMs,
    metadata: event.metadata,
    idempotency_key: event.key?.key ?? null,
  };
}

export function usageKeyRow(
  { userId, id }: NewUsageEvent,
  { key, fingerprint }: UsageKey,
): Record<keyof typeof USAGE_KEY_COLUMNS, unknown> {
  return { user_id: userId, key, event_id: id, fingerprint };
}

export function correctionRow(
  correction: NewCorrection,
  seq: bigint,
): Record<keyof typeof CORRECTION_COLUMNS, unknown> {
  const { subject } = correction;
  return {
    id: correction.id,
    seq: seq.toString(),
    reason: correction.reason,
    attempt_id: 'attemptId' in subject ? subject.attemptId : null,
    completion_id: 'attemptId' in subject ? subject.completionId : null,
    usage_event_id: 'usageEventId' in subject ? subject.usageEventId : null,
    ...tokenColumns(correction.usage),
    cost: correction.cost.toString(),
    cost_source: correction.costSource,
    price_version_id: correction.priceVersionId,
    difference: correction.difference.toString(),
    was_unpriced: correction.wasUnpriced,
    corrected_by: correction.correctedBy,
  };
}
