import { firstUuidAt } from '../../platform/ids.ts';
import type { Query, Span } from '../metrics/metrics.ts';

/** The newest judgements of a route that are counted. */
export const COUNTED_JUDGEMENTS = 100_000;

/** How often an answer was judged the better one, the worse one, and as good as the other. */
export interface Judged {
  wins: number;
  losses: number;
  ties: number;
}

/** Judgements of a route's variants. */
export interface Judgements {
  /** Those of a variant against anything. */
  of(variant: string): Judged;
  /** Those of a variant against another one. */
  between(variant: string, other: string): Judged;
}

interface Row {
  a: string | null;
  b: string | null;
  winner: 'A' | 'B' | 'TIE';
  count: number;
}

/** One statement: what was recorded in a span of time about a route's variants. */
export async function readJudgements(query: Query, { from, to }: Span, routeId: string): Promise<Judgements> {
  const { rows } = await query<Row>(
    `SELECT a, b, winner, count(*)::int AS count FROM (
       SELECT target_a_id AS a, target_b_id AS b, winner::text AS winner FROM comparisons
       WHERE route_id = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT ${COUNTED_JUDGEMENTS}
     ) AS newest GROUP BY a, b, winner`,
    [routeId, firstUuidAt(from.getTime()), firstUuidAt(to.getTime())],
  );
  const turned = rows.map(({ a, b, winner, count }): Row => {
    return { a: b, b: a, winner: winner === 'TIE' ? 'TIE' : winner === 'A' ? 'B' : 'A', count };
  });
  const asFirst = [...rows, ...turned];
  return {
    of: (variant) => sum(asFirst.filter(({ a }) => a === variant)),
    between: (variant, other) => sum(asFirst.filter(({ a, b }) => a === variant && b === other)),
  };
}

/** @param rows with the one that it is about as A */
function sum(rows: readonly Row[]): Judged {
  const of = (wanted: Row['winner']) =>
    rows.reduce((total, { winner, count }) => (winner === wanted ? total + count : total), 0);
  return { wins: of('A'), losses: of('B'), ties: of('TIE') };
}
