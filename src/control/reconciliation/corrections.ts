import { toUsd } from '../../platform/money.ts';
import { type Check, sinceOf, tell } from './check.ts';

/** A correction says what it adds to the cost that counted before it. */
export const checkCorrections: Check = async (books) => {
  const rows = await books.query<{ id: string; stored: string; computed: string; isRight: boolean }>(CORRECTIONS, [
    sinceOf(books),
  ]);
  const sum = (name: 'stored' | 'computed') => rows.reduce((total, row) => total + BigInt(row[name]), 0n);
  const wrong = rows.filter(({ isRight }) => !isRight);
  return [
    {
      name: 'corrections and what they correct',
      sides: `${rows.length} corrections of $${toUsd(sum('stored'))}, computed $${toUsd(sum('computed'))}`,
      wrong: tell(
        wrong,
        ({ id, stored, computed }) =>
          `correction ${id} adds $${toUsd(BigInt(stored))}, but the costs differ by $${toUsd(BigInt(computed))}, or it was priced before or not`,
      ),
    },
  ];
};

const CORRECTIONS = `
  WITH chain AS (
    SELECT k.id, k.difference, k.cost, k.was_unpriced, k.created_at,
      lag(k.cost, 1, coalesce(a.cost, e.cost)) OVER (PARTITION BY k.attempt_id, k.usage_event_id ORDER BY k.seq) AS before
    FROM corrections k LEFT JOIN attempts a ON a.id = k.attempt_id LEFT JOIN usage_events e ON e.id = k.usage_event_id
    WHERE a.started_at >= $1::timestamptz OR e.occurred_at >= $1::timestamptz
  )
  SELECT id, difference::text AS stored, (cost - coalesce(before, 0))::text AS computed,
    difference = cost - coalesce(before, 0) AND was_unpriced = (before IS NULL) AS "isRight"
  FROM chain ORDER BY id`;
