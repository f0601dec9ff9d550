import { firstUuidAt } from '../../platform/ids.ts';
import { LIMITS } from './input.ts';
import type { UseSpan } from './span.ts';

/** Ids carry the time at which they were made; a row's own time is at most this far from it. */
export const CLOCK_MARGIN_MS = 60_000;

/** An SQL condition on rows `a`, in which each `?` is the next value. */
export interface UseCondition {
  sql: string;
  values: unknown[];
}

/** Attempts that were sent in a span. The bounds on the id are what lets Postgres leave whole partitions aside. */
export function attemptsIn({ from, to }: UseSpan): UseCondition {
  const ids = [firstUuidAt(Number(from) - CLOCK_MARGIN_MS), firstUuidAt(Number(to) + CLOCK_MARGIN_MS)];
  return {
    sql: 'a.started_at >= ? AND a.started_at < ? AND a.id >= ?::uuid AND a.id < ?::uuid',
    values: [from, to, ...ids],
  };
}

/** Usage events of a span; they are reported a little before their time at the earliest. */
export function eventsIn({ from, to }: UseSpan): UseCondition {
  return {
    sql: 'a.occurred_at >= ? AND a.occurred_at < ? AND a.id >= ?::uuid',
    values: [from, to, firstUuidAt(Number(from) - LIMITS.aheadMs - CLOCK_MARGIN_MS)],
  };
}

/** Attempts with tokens and without a cost, also since. */
export const UNPRICED_ATTEMPT = `a.cost IS NULL AND (a.input_tokens IS NOT NULL OR a.output_tokens IS NOT NULL)
  AND NOT EXISTS (SELECT FROM corrections k WHERE k.attempt_id = a.id)`;

/** Usage events without a cost, also since. */
export const UNPRICED_EVENT = `a.cost IS NULL AND NOT EXISTS (SELECT FROM corrections k WHERE k.usage_event_id = a.id)`;

/** The text of a statement with its `?` numbered from $1. */
export function numbered(sql: string): string {
  let number = 0;
  return sql.replaceAll('?', () => `$${++number}`);
}
