import type { Pool } from 'pg';
import type { UseSpan } from './span.ts';
import {
  attemptsIn,
  eventsIn,
  numbered,
  UNPRICED_ATTEMPT,
  UNPRICED_EVENT,
  type UseCondition,
} from './unpriced-rows.ts';

/** What is looked at to be priced again. */
export interface Wanted {
  span: UseSpan;
  /** Slugs of the provider, and the name that was reported. Null: all. */
  providers: readonly string[] | null;
  /** Null: all. */
  model: string | null;
  /** Also what has a price. */
  includePriced: boolean;
}

/** Where an attempt or a usage event stands in the order of time. */
export interface UsePlace {
  id: string;
  at: Date;
}

/** Without those that failed before their first token, which are free, and those whose tokens are not known. */
const PRICEABLE = `a.input_tokens IS NOT NULL AND a.output_tokens IS NOT NULL AND a.cost_source IS DISTINCT FROM 'FREE'`;

/** The next `limit` attempts behind `after`, of completions that have ended. One statement. */
export function readAttempts(pool: Pool, wanted: Wanted, after: UsePlace | null, limit: number): Promise<UsePlace[]> {
  const { sql, values } = attemptsIn(wanted.span);
  const parts = [
    { sql: `${sql} AND ${wanted.includePriced ? PRICEABLE : UNPRICED_ATTEMPT}`, values },
    { sql: 'EXISTS (SELECT FROM completions c WHERE c.id = a.completion_id)', values: [] },
    ...named(wanted, '? IN (a.model, a.answered_model)'),
  ];
  if (after) parts.push({ sql: 'a.id > ?::uuid', values: [after.id] });
  return read(pool, 'a.id, a.started_at AS at FROM attempts a', parts, `ORDER BY a.id LIMIT ${limit}`);
}

/** The next `limit` usage events behind `after`. One statement. */
export function readEventPlaces(
  pool: Pool,
  wanted: Wanted,
  after: UsePlace | null,
  limit: number,
): Promise<UsePlace[]> {
  const { sql, values } = eventsIn(wanted.span);
  const parts = [
    { sql: wanted.includePriced ? sql : `${sql} AND ${UNPRICED_EVENT}`, values },
    ...named(wanted, 'a.model = ?'),
  ];
  if (after) parts.push({ sql: '(a.occurred_at, a.id) > (?::timestamptz, ?::uuid)', values: [after.at, after.id] });
  const order = `ORDER BY a.occurred_at, a.id LIMIT ${limit}`;
  return read(pool, 'a.id, a.occurred_at AS at FROM usage_events a', parts, order);
}

function named({ providers, model }: Wanted, ofModel: string): UseCondition[] {
  return [
    ...(providers === null ? [] : [{ sql: 'a.provider_slug = ANY(?)', values: [providers] }]),
    ...(model === null ? [] : [{ sql: ofModel, values: [model] }]),
  ];
}

async function read(pool: Pool, selected: string, parts: readonly UseCondition[], order: string): Promise<UsePlace[]> {
  const where = parts.map(({ sql }) => sql).join(' AND ');
  const { rows } = await pool.query<UsePlace>(
    numbered(`SELECT ${selected} WHERE ${where} ${order}`),
    parts.flatMap(({ values }) => values),
  );
  return rows;
}
