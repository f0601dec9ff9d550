import type pg from 'pg';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { ChargedAttempt, ChargedCompletion, ChargedEvent } from './correct.ts';
import { type CorrectionJson, correctionsWhere, toCorrections } from './effective.ts';
import { type CostSource, impliedCostSource, type Usage } from './prices.ts';
import type { RequestStatus } from './records.ts';
import { type Series, seriesOfUsage } from './series.ts';

type Client = Pick<pg.ClientBase, 'query'>;

interface ChargeRow {
  id: string;
  provider_slug: string;
  model: string;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  cache_write_tokens: number | null;
  cache_write_1h_tokens: number | null;
  reasoning_tokens: number | null;
  cost: string | null;
  cost_source: CostSource | null;
  price_version_id: string | null;
  corrections: CorrectionJson[] | null;
}

interface AttemptRow extends ChargeRow {
  completion_id: string;
  status: RequestStatus;
  started_at: Date;
  provider_id: string;
  answered_model: string | null;
  target_id: string | null;
  used_own_key: boolean;
  is_estimated: boolean;
  admitted_at: Date;
  user_id: string | null;
  api_key_id: string | null;
  route_id: string | null;
  completion_status: RequestStatus;
  last_provider_id: string | null;
  last_provider_slug: string;
  last_model: string;
  last_target_id: string | null;
}

interface EventRow extends ChargeRow {
  occurred_at: Date;
  user_id: string;
  api_key_id: string | null;
  provider_id: string | null;
}

/** Of an attempt or a usage event `a`. */
const CHARGE = `a.id, a.provider_slug, a.model, a.input_tokens, a.output_tokens, a.cached_tokens, a.cache_write_tokens,
  a.cache_write_1h_tokens, a.reasoning_tokens, a.cost::text, a.cost_source::text, a.price_version_id`;

/** Completions that have ended, with all of their attempts: those that one of these attempts belongs to. One statement. */
export async function readChargedCompletions(
  client: Client,
  attemptIds: readonly string[],
): Promise<ChargedCompletion[]> {
  const { rows } = await client.query<AttemptRow>(
    `SELECT ${CHARGE}, a.completion_id, a.status::text, a.started_at, a.provider_id, a.answered_model, a.target_id,
       a.used_own_key, a.is_estimated, ${correctionsWhere('k.attempt_id = a.id')} AS corrections,
       c.started_at AS admitted_at, c.user_id, c.api_key_id, c.route_id, c.status::text AS completion_status,
       c.provider_id AS last_provider_id, c.provider_slug AS last_provider_slug, c.model AS last_model,
       c.target_id AS last_target_id
     FROM completions c JOIN attempts a ON a.completion_id = c.id
     WHERE c.id IN (SELECT completion_id FROM attempts WHERE id = ANY($1::uuid[]))
     ORDER BY a.completion_id, a.number`,
    [attemptIds],
  );
  const completions = new Map<string, ChargedCompletion & { attempts: ChargedAttempt[] }>();
  for (const row of rows) {
    const completion = completions.get(row.completion_id) ?? toCompletion(row);
    completions.set(row.completion_id, completion);
    completion.attempts.push(toAttempt(row));
  }
  return [...completions.values()];
}

/** One statement. */
export async function readChargedEvents(client: Client, ids: readonly string[]): Promise<ChargedEvent[]> {
  const { rows } = await client.query<EventRow>(
    `SELECT ${CHARGE}, a.occurred_at, a.user_id, a.api_key_id, a.provider_id,
       ${correctionsWhere('k.usage_event_id = a.id')} AS corrections
     FROM usage_events a WHERE a.id = ANY($1::uuid[]) ORDER BY a.id`,
    [ids],
  );
  return rows.map((row) => {
    const place = {
      ...{ userId: row.user_id, apiKeyId: row.api_key_id, providerId: row.provider_id },
      ...{ providerSlug: row.provider_slug, model: row.model },
    };
    return {
      ...{ id: row.id, occurredAt: Number(row.occurred_at), ...place },
      ...{ ...charge(row, false), series: seriesOfUsage(place) },
    };
  });
}

function toCompletion(row: AttemptRow): ChargedCompletion & { attempts: ChargedAttempt[] } {
  const series: Series = {
    ...{ subject: 'COMPLETION', status: row.completion_status, ...seriesOwner(row) },
    ...{ provider_id: row.last_provider_id, provider_slug: row.last_provider_slug },
    ...{ model: row.last_model, target_id: row.last_target_id },
  };
  const owner = { userId: row.user_id, apiKeyId: row.api_key_id, routeId: row.route_id };
  return { id: row.completion_id, startedAt: Number(row.admitted_at), ...owner, series, attempts: [] };
}

function toAttempt(row: AttemptRow): ChargedAttempt {
  return {
    id: row.id,
    status: row.status,
    startedAt: Number(row.started_at),
    providerId: row.provider_id,
    providerSlug: row.provider_slug,
    model: row.model,
    answeredModel: row.answered_model,
    usedOwnKey: row.used_own_key,
    ...charge(row, row.is_estimated),
    series: {
      ...{ subject: 'ATTEMPT', status: row.status, ...seriesOwner(row) },
      ...{ provider_id: row.provider_id, provider_slug: row.provider_slug },
      ...{ model: row.answered_model ?? row.model, target_id: row.target_id },
    },
  };
}

function seriesOwner({ user_id, api_key_id, route_id }: AttemptRow) {
  return { user_id, api_key_id, route_id };
}

function charge(row: ChargeRow, isEstimated: boolean) {
  const cost = moneyOf(row.cost);
  return {
    usage: usageOf(row),
    isEstimated,
    cost,
    costSource: row.cost_source ?? impliedCostSource(cost, row.input_tokens),
    priceVersionId: row.price_version_id,
    corrections: toCorrections(row.corrections),
  };
}

function usageOf(row: ChargeRow): Usage {
  return {
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cachedTokens: row.cached_tokens,
    cacheWriteTokens: row.cache_write_tokens,
    cacheWrite1hTokens: row.cache_write_1h_tokens,
    reasoningTokens: row.reasoning_tokens,
  };
}

function moneyOf(text: string | null): Picodollars | null {
  return text === null ? null : picodollars(BigInt(text));
}
