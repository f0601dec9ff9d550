import { type Check, sinceOf, tell } from './check.ts';

/** Everything on the ledger has a number, in the order of commits and without gaps, up to that of the ledger's head. */
export const checkSequence: Check = async (books) => {
  const [row] = await books.query<{ head: string; last: string; rows: string; first: string }>(SEQUENCE, [
    sinceOf(books),
    books.since !== null,
  ]);
  const { head = '0', last = '0', rows = '0', first = '1' } = row ?? {};
  const twice = await books.query<{ seq: string }>(TWICE);
  const expected = BigInt(head) - BigInt(first) + 1n;
  const wrong = tell(twice, ({ seq }) => `number ${seq} is there more than once`);
  if (last !== head) wrong.push(`the latest number is ${last}, but the ledger's head says ${head}`);
  if (BigInt(rows) !== expected && twice.length === 0)
    wrong.push(`of the ${expected} numbers from ${first} to ${head} only ${rows} are there`);
  return [{ name: 'numbers of the ledger', sides: `${rows} rows from ${first} on, head ${head}`, wrong }];
};

const NUMBERS = `
  SELECT seq, started_at AS at FROM completions
  UNION ALL SELECT seq, recorded_at FROM usage_events
  UNION ALL SELECT seq, created_at FROM corrections`;

/** Where rows were deleted for their age, counting begins behind the numbers of the first day that is kept. */
const SEQUENCE = `
  WITH numbers AS (${NUMBERS}), beginning AS (
    SELECT CASE WHEN $2 THEN 1 + coalesce(
        max(seq) FILTER (WHERE at < $1::timestamptz + interval '1 day'), min(seq) - 1,
        (SELECT seq FROM ledger_head WHERE id = 1)) ELSE 1 END AS first
    FROM numbers
  )
  SELECT (SELECT seq::text FROM ledger_head WHERE id = 1) AS head, coalesce(max(seq), first - 1)::text AS last,
    count(seq)::text AS rows, first::text
  FROM beginning LEFT JOIN numbers ON seq >= first GROUP BY first`;

const TWICE = `SELECT seq::text FROM (${NUMBERS}) AS numbers GROUP BY seq HAVING count(*) > 1 ORDER BY numbers.seq LIMIT 1000`;
