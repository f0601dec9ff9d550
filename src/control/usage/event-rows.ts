import type { Pool } from 'pg';
import {
  type Charge,
  type Correction,
  type CorrectionJson,
  correctionsWhere,
  effective,
  toCorrections,
} from '../../gateway/ledger/effective.ts';
import type { CostSource } from '../../gateway/ledger/prices.ts';
import { picodollars } from '../../platform/money.ts';

/** Usage that was made elsewhere, as the ledger has it; usage and cost are as corrected since. */
export interface LoggedEvent extends Charge {
  id: string;
  seq: bigint;
  occurredAt: Date;
  recordedAt: Date;
  userId: string;
  apiKeyId: string | null;
  providerId: string | null;
  provider: string;
  model: string;
  latencyMs: number | null;
  metadata: Record<string, unknown>;
  idempotencyKey: string | null;
  corrections: readonly Correction[];
}

interface Row {
  id: string;
  seq: string;
  occurred_at: Date;
  recorded_at: Date;
  user_id: string;
  api_key_id: string | null;
  provider_id: string | null;
  provider_slug: string;
  model: string;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number | null;
  cache_write_tokens: number | null;
  cache_write_1h_tokens: number | null;
  reasoning_tokens: number | null;
  cost: string | null;
  cost_source: CostSource | null;
  price_version_id: string | null;
  latency_ms: number | null;
  metadata: Record<string, unknown>;
  idempotency_key: string | null;
  corrections: CorrectionJson[] | null;
}

/** A part of a statement behind its FROM; its parameters are numbered from $1. */
export interface Selection {
  sql: string;
  values: unknown[];
}

/** One statement. */
export async function readEvents(pool: Pick<Pool, 'query'>, { sql, values }: Selection): Promise<LoggedEvent[]> {
  const { rows } = await pool.query<Row>(
    `SELECT e.id, e.seq::text, e.occurred_at, e.recorded_at, e.user_id, e.api_key_id, e.provider_id, e.provider_slug,
       e.model, e.input_tokens, e.output_tokens, e.cached_tokens, e.cache_write_tokens, e.cache_write_1h_tokens,
       e.reasoning_tokens, e.cost::text, e.cost_source::text, e.price_version_id, e.latency_ms, e.metadata,
       e.idempotency_key, ${correctionsWhere('k.usage_event_id = e.id')} AS corrections
     FROM usage_events e ${sql}`,
    values,
  );
  return rows.map(toEvent);
}

function toEvent(row: Row): LoggedEvent {
  const corrections = toCorrections(row.corrections);
  const event: LoggedEvent = {
    id: row.id,
    seq: BigInt(row.seq),
    occurredAt: row.occurred_at,
    recordedAt: row.recorded_at,
    userId: row.user_id,
    apiKeyId: row.api_key_id,
    providerId: row.provider_id,
    provider: row.provider_slug,
    model: row.model,
    usage: {
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      cachedTokens: row.cached_tokens,
      cacheWriteTokens: row.cache_write_tokens,
      cacheWrite1hTokens: row.cache_write_1h_tokens,
      reasoningTokens: row.reasoning_tokens,
    },
    isEstimated: false,
    cost: row.cost === null ? null : picodollars(BigInt(row.cost)),
    costSource: row.cost_source,
    priceVersionId: row.price_version_id,
    latencyMs: row.latency_ms,
    metadata: row.metadata,
    idempotencyKey: row.idempotency_key,
    corrections,
  };
  return effective(event, corrections);
}
