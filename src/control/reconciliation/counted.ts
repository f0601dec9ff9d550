const TOKENS = ['input_tokens', 'output_tokens', 'cached_tokens', 'reasoning_tokens'] as const;

/** Tokens as a row has them, or its latest correction, in which null says that nobody knows. */
function tokens(row: string, correction: string, isCorrected: string): string {
  return TOKENS.map(
    (name) => `CASE WHEN ${isCorrected} THEN ${correction}.${name} ELSE ${row}.${name} END AS ${name}`,
  ).join(', ');
}

/**
 * Common table expressions of what counts on the ledger of completions that were admitted, and usage events that
 * occurred, at `$1` or later. Corrections take the place of what they correct.
 *
 * - `counted_attempts`: attempts of completions that have ended, with whose they are and when they were admitted.
 * - `counted_completions`: a completion of which an attempt was corrected is the sum of its attempts, without a cost while
 *   one of them has tokens and no cost.
 * - `counted_events`: usage that was made elsewhere.
 * - `attempts_ahead`: attempts of completions that have not ended. They are in sums already, but whose they are is not
 *   known yet.
 */
export const COUNTED = `
  latest AS MATERIALIZED (
    SELECT DISTINCT ON (attempt_id, usage_event_id) attempt_id, usage_event_id, ${TOKENS.join(', ')}, cost
    FROM corrections ORDER BY attempt_id, usage_event_id, seq DESC
  ), counted_attempts AS (
    SELECT c.id AS completion_id, c.started_at AS at, c.user_id, c.api_key_id, c.route_id, a.provider_id,
      a.provider_slug, coalesce(a.answered_model, a.model) AS model, a.target_id, a.status, a.used_own_key,
      k.attempt_id IS NOT NULL AS is_corrected, ${tokens('a', 'k', 'k.attempt_id IS NOT NULL')},
      coalesce(k.cost, a.cost) AS cost, a.latency_ms, a.time_to_first_token_ms
    FROM completions c JOIN attempts a ON a.completion_id = c.id LEFT JOIN latest k ON k.attempt_id = a.id
    WHERE c.started_at >= $1::timestamptz
  ), corrected AS (
    SELECT completion_id, ${TOKENS.map((name) => `sum(${name}) AS ${name}`).join(', ')},
      CASE WHEN bool_or(cost IS NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)) THEN NULL
        ELSE sum(cost) END AS cost
    FROM counted_attempts GROUP BY completion_id HAVING bool_or(is_corrected)
  ), counted_completions AS (
    SELECT c.started_at AS at, c.user_id, c.api_key_id, c.route_id, c.provider_id, c.provider_slug, c.model,
      c.target_id, c.status, ${tokens('c', 't', 't.completion_id IS NOT NULL')},
      CASE WHEN t.completion_id IS NOT NULL THEN t.cost ELSE c.cost END AS cost, c.latency_ms, c.time_to_first_token_ms
    FROM completions c LEFT JOIN corrected t ON t.completion_id = c.id
    WHERE c.started_at >= $1::timestamptz
  ), counted_events AS (
    SELECT e.occurred_at AS at, e.user_id, e.api_key_id, NULL::uuid AS route_id, e.provider_id, e.provider_slug, e.model,
      NULL::uuid AS target_id, 'SUCCEEDED'::"RequestStatus" AS status, ${tokens('e', 'k', 'k.usage_event_id IS NOT NULL')},
      coalesce(k.cost, e.cost) AS cost, e.latency_ms, NULL::integer AS time_to_first_token_ms
    FROM usage_events e LEFT JOIN latest k ON k.usage_event_id = e.id
    WHERE e.occurred_at >= $1::timestamptz
  ), attempts_ahead AS (
    SELECT a.*, coalesce(a.answered_model, a.model) AS answering_model
    FROM attempts a
    WHERE a.started_at >= $1::timestamptz AND NOT EXISTS (SELECT FROM completions c WHERE c.id = a.completion_id)
  )`;
