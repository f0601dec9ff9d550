import { toUsd } from '../../platform/money.ts';
import { type Check, sinceOf, tell } from './check.ts';

/** An attempt is on the ledger before its completion while that runs; after this long it does not run any more. */
const LONGEST_HOURS = 24;

/** Completions are the sums of their attempts; an answer from the cache made none, and cost nothing. */
export const checkCompletions: Check = async (books) => {
  const since = sinceOf(books);
  const [sides] = await books.query<{ completions: string; cost: string; attempts: string; attemptCost: string }>(
    `SELECT count(*)::text AS completions, coalesce(sum(c.cost), 0)::text AS cost,
       coalesce(sum(a.count), 0)::text AS attempts, coalesce(sum(a.cost) FILTER (WHERE NOT a.is_unpriced), 0)::text AS "attemptCost"
     FROM completions c LEFT JOIN (${SUMS}) a ON a.completion_id = c.id WHERE c.started_at >= $1::timestamptz`,
    [since],
  );
  const wrong = await books.query<{ id: string; what: string }>(WRONG_COMPLETIONS, [since]);
  const lost = await books.query<{ id: string }>(LOST_ATTEMPTS, [since, LONGEST_HOURS]);
  const { completions = '0', cost = '0', attempts = '0', attemptCost = '0' } = sides ?? {};
  return [
    {
      name: 'completions and their attempts',
      sides: `${completions} completions of $${toUsd(BigInt(cost))}, ${attempts} attempts of $${toUsd(BigInt(attemptCost))}`,
      wrong: [
        ...tell(wrong, ({ id, what }) => `completion ${id} differs from its attempts in ${what}`),
        ...tell(lost, ({ id }) => `attempt ${id} has no completion`),
      ],
    },
  ];
};

/** The rules of `totalsOf`. */
const SUMS = `
  SELECT completion_id, count(*) AS count, sum(cost) AS cost, bool_or(is_estimated) AS is_estimated,
    bool_or(cost IS NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)) AS is_unpriced,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens,
    sum(reasoning_tokens) AS reasoning_tokens
  FROM attempts GROUP BY completion_id`;

/** Counts and costs are held within their columns. */
const held = (sum: string, most: bigint) => `CASE WHEN ${sum} > ${most} THEN ${most} ELSE ${sum} END`;

const COST = `${held('CASE WHEN NOT a.is_unpriced THEN a.cost END', 2n ** 63n - 1n)} IS DISTINCT FROM c.cost`;
const TOKENS = ['input_tokens', 'output_tokens', 'cached_tokens', 'reasoning_tokens']
  .map((name) => `${held(`a.${name}`, 2n ** 31n - 1n)} IS DISTINCT FROM c.${name}`)
  .join(' OR ');

const WRONG_COMPLETIONS = `
  SELECT id, what FROM (
    SELECT c.id, concat_ws(', ',
      CASE WHEN coalesce(a.count, 0) <> c.attempt_count THEN 'their number' END,
      CASE WHEN a.count IS NULL AND (c.cost IS DISTINCT FROM 0 OR NOT c.is_cached) THEN 'that there are none' END,
      CASE WHEN a.count > 0 AND ${COST} THEN 'cost' END,
      CASE WHEN a.count > 0 AND (${TOKENS}) THEN 'tokens' END,
      CASE WHEN a.is_estimated <> c.is_estimated THEN 'whether they are estimated' END) AS what
    FROM completions c LEFT JOIN (${SUMS}) a ON a.completion_id = c.id
    WHERE c.started_at >= $1::timestamptz
  ) AS differences
  WHERE what <> '' ORDER BY id LIMIT 1000`;

const LOST_ATTEMPTS = `
  SELECT a.id FROM attempts a
  WHERE a.started_at >= $1::timestamptz AND a.finished_at < now() - make_interval(hours => $2)
    AND NOT EXISTS (SELECT FROM completions c WHERE c.id = a.completion_id)
  ORDER BY a.id LIMIT 1000`;
