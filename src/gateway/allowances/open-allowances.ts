import type { Query } from '../../platform/database/query.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { type Span, startOf } from './period.ts';

/** A period of a budget. */
export interface WantedPeriod {
  budgetId: string;
  span: Span;
}

/**
 * Makes the allowances of periods where they are missing, with what the ledger says was spent in them so far. The caller
 * holds the ledger's head, so that nothing is added to the roll-ups meanwhile.
 */
export async function openAllowances(query: Query, wanted: readonly WantedPeriod[]): Promise<void> {
  if (wanted.length === 0) return;
  const rows = wanted.map(({ budgetId, span }) => ({
    id: uuidv7(),
    budget_id: budgetId,
    starts_at: startOf(span),
    ends_at: span.endsAt,
  }));
  await query(OPEN, [JSON.stringify(rows)]);
}

/**
 * Whole hours come from the hourly roll-ups. Where a time zone's midnight is not on the hour, the minutes at either end
 * come from those of minutes.
 */
const OPEN = `
  INSERT INTO allowances (id, kind, budget_id, starts_at, ends_at, "limit", settled)
  SELECT wanted.id, 'BUDGET', budgets.id, wanted.starts_at, wanted.ends_at, budgets."limit", coalesce(spent.cost, 0)
  FROM json_to_recordset($1) AS wanted (id uuid, budget_id uuid, starts_at timestamptz, ends_at timestamptz)
  JOIN budgets ON budgets.id = wanted.budget_id
  CROSS JOIN LATERAL (
    SELECT date_trunc('hour', wanted.starts_at + interval '59 minutes 59.999 seconds', 'UTC') AS first,
           CASE WHEN wanted.ends_at IS NULL THEN 'infinity' ELSE date_trunc('hour', wanted.ends_at, 'UTC') END AS last
  ) AS hours
  CROSS JOIN LATERAL (
    SELECT sum(r.cost) AS cost
    FROM rollup_series s JOIN rollups r ON r.series_id = s.id
    WHERE s.subject = 'ATTEMPT'
      AND CASE budgets.scope
        WHEN 'EVERYTHING' THEN true
        WHEN 'USER' THEN s.user_id = nullif(budgets.subject_id, '')::uuid
        WHEN 'API_KEY' THEN s.api_key_id = nullif(budgets.subject_id, '')::uuid
        WHEN 'ROUTE' THEN s.route_id = nullif(budgets.subject_id, '')::uuid
        WHEN 'PROVIDER' THEN s.provider_id = nullif(budgets.subject_id, '')::uuid
      END
      AND ((r.grain = 'HOUR' AND r.bucket >= hours.first AND r.bucket < hours.last)
        OR (r.grain = 'MINUTE' AND r.bucket >= wanted.starts_at AND r.bucket < hours.first)
        OR (r.grain = 'MINUTE' AND r.bucket >= hours.last AND r.bucket < wanted.ends_at))
  ) AS spent
  ON CONFLICT (budget_id, starts_at) DO NOTHING`;
