import { toUsd } from '../../platform/money.ts';
import { type Books, type Check, sinceOf, tell } from './check.ts';
import { COUNTED } from './counted.ts';

const SUMS = {
  requests: 'count(*)',
  input_tokens: 'coalesce(sum(input_tokens), 0)',
  output_tokens: 'coalesce(sum(output_tokens), 0)',
  cached_tokens: 'coalesce(sum(cached_tokens), 0)',
  reasoning_tokens: 'coalesce(sum(reasoning_tokens), 0)',
  cost: 'coalesce(sum(cost), 0)',
  unpriced: 'count(*) FILTER (WHERE cost IS NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL))',
  latency_ms: 'coalesce(sum(latency_ms), 0)',
  time_to_first_token_ms: 'coalesce(sum(time_to_first_token_ms), 0)',
  timed_first_tokens: 'count(time_to_first_token_ms)',
  timed_requests: 'count(latency_ms)',
} as const;
type Column = keyof typeof SUMS;
const COLUMNS = Object.keys(SUMS) as Column[];

/** What a call alone decides. */
const OF_CALL = ['status', 'provider_id', 'provider_slug', 'model', 'target_id'] as const;
const DIMENSIONS = [...OF_CALL, 'user_id', 'api_key_id', 'route_id'];

/** More than so many sums that differ are not told apart. */
const MOST_DIFFERING = 10_000;

/** A sum of both, or how much more the roll-ups have than the ledger. */
type Sums = Record<Column, string>;
type Call = Record<(typeof OF_CALL)[number], string | null>;
type Group = Sums & Call & { grain: string; subject: string; bucket: Date };

type Total = Record<'grain' | 'subject' | 'ledgerRequests' | 'ledgerCost' | 'requests' | 'cost', string>;

/** The roll-ups, of every series and every minute and hour, are the sums over the rows. */
export const checkRollups: Check = async (books) => {
  const totals = await books.query<Total>(TOTALS, [sinceOf(books)]);
  const differing = await readDiffering(books);
  const slots = await books.query<{ grain: string; bucket: Date; series: string }>(WRONG_SLOTS, [sinceOf(books)]);
  return totals.map(({ grain, subject, ledgerRequests, ledgerCost, requests, cost }) => {
    const what = subject === 'COMPLETION' ? 'completions' : 'attempts';
    const side = (count: string, sum: string) => `${count} ${what} of $${toUsd(BigInt(sum))}`;
    const ofThis = differing.filter((group) => group.grain === grain && group.subject === subject);
    return {
      name: `sums of ${what} by the ${grain.toLowerCase()}`,
      sides: `sums of ${side(requests, cost)}, rows of ${side(ledgerRequests, ledgerCost)}`,
      wrong: [
        ...tell(ofThis, phrase),
        ...(subject === 'COMPLETION'
          ? tell(
              slots.filter((slot) => slot.grain === grain),
              slotPhrase,
            )
          : []),
      ],
    };
  });
};

/** Those that differ by something else than attempts of completions that still run. */
async function readDiffering(books: Books): Promise<Group[]> {
  const differing = await books.query<Group>(DIFFERING, [sinceOf(books), MOST_DIFFERING]);
  if (differing.length === 0 || differing.length === MOST_DIFFERING) return differing;
  const ahead = await books.query<Sums & Call & { grain: string }>(AHEAD, [sinceOf(books)]);
  const explained = new Map(ahead.map((sums) => [nameOf('ATTEMPT', sums), sums]));
  const byCall = new Map<string, Group[]>();
  for (const group of differing) {
    const name = nameOf(group.subject, group);
    byCall.set(name, [...(byCall.get(name) ?? []), group]);
  }
  return [...byCall].flatMap(([name, groups]) => {
    const expected = explained.get(name);
    const isExplained =
      expected !== undefined && COLUMNS.every((column) => sum(groups, column) === BigInt(expected[column]));
    return isExplained ? [] : groups;
  });
}

function sum(groups: readonly Sums[], column: Column): bigint {
  return groups.reduce((total, group) => total + BigInt(group[column]), 0n);
}

function nameOf(subject: string, row: Call & { grain: string }): string {
  return JSON.stringify([row.grain, subject, ...OF_CALL.map((name) => row[name])]);
}

function phrase(group: Group): string {
  const off = COLUMNS.filter((column) => group[column] !== '0').map((column) => {
    const by = BigInt(group[column]);
    const amount = column === 'cost' ? `$${toUsd(by)}` : `${by}`;
    return `${column} by ${amount}`;
  });
  return `${group.bucket.toISOString()} ${group.provider_slug}/${group.model} ${group.status} is off in ${off.join(', ')}`;
}

function slotPhrase({ bucket, series }: { bucket: Date; series: string }): string {
  return `${bucket.toISOString()} series ${series} has another number of latencies than of timed requests`;
}

const ENTRY = `at, ${DIMENSIONS.join(', ')}, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, latency_ms,
  time_to_first_token_ms`;

/** Usage made elsewhere counts as one completion and one attempt. */
const WITH_ENTRIES = `
  WITH ${COUNTED}, entries AS (
    SELECT 'COMPLETION' AS subject, ${ENTRY} FROM counted_completions
    UNION ALL SELECT 'ATTEMPT', ${ENTRY} FROM counted_attempts
    UNION ALL SELECT subject, ${ENTRY} FROM counted_events, (VALUES ('COMPLETION'), ('ATTEMPT')) AS subjects (subject)
  )`;

const SUMMED = Object.entries(SUMS)
  .map(([name, sql]) => `${sql} AS ${name}`)
  .join(', ');

const TOTALS = `${WITH_ENTRIES}, of_rows AS (
    SELECT subject, count(*)::text AS requests, coalesce(sum(cost), 0)::text AS cost FROM entries GROUP BY subject
  ), of_sums AS (
    SELECT r.grain::text, s.subject::text, sum(r.requests)::text AS requests, sum(r.cost)::text AS cost
    FROM rollups r JOIN rollup_series s ON s.id = r.series_id WHERE r.bucket >= $1::timestamptz GROUP BY 1, 2
  )
  SELECT grains.grain, subjects.subject, coalesce(of_rows.requests, '0') AS "ledgerRequests",
    coalesce(of_rows.cost, '0') AS "ledgerCost", coalesce(of_sums.requests, '0') AS requests,
    coalesce(of_sums.cost, '0') AS cost
  FROM (VALUES ('MINUTE'), ('HOUR')) AS grains (grain) CROSS JOIN (VALUES ('COMPLETION'), ('ATTEMPT')) AS subjects (subject)
    LEFT JOIN of_rows USING (subject) LEFT JOIN of_sums USING (grain, subject)`;

/** Both sides with opposite signs in one grouping, in which null is a value like any other. */
const DIFFERING = `${WITH_ENTRIES}, sides AS (
    SELECT grain, subject, date_trunc(grain, at, 'UTC') AS bucket, ${DIMENSIONS.join(', ')}, ${SUMMED}, -1 AS sign
    FROM entries, (VALUES ('MINUTE'), ('HOUR')) AS grains (grain) GROUP BY 1, 2, 3, ${DIMENSIONS.join(', ')}
    UNION ALL
    SELECT r.grain::text, s.subject::text, r.bucket, ${DIMENSIONS.map((name) => `s.${name}`).join(', ')},
      ${COLUMNS.map((name) => `r.${name}`).join(', ')}, 1
    FROM rollups r JOIN rollup_series s ON s.id = r.series_id WHERE r.bucket >= $1::timestamptz
  )
  SELECT grain, subject, bucket, ${DIMENSIONS.map((name) => `${name}::text`).join(', ')},
    ${COLUMNS.map((name) => `sum(sign * ${name})::text AS ${name}`).join(', ')}
  FROM sides GROUP BY grain, subject, bucket, ${DIMENSIONS.join(', ')}
  HAVING ${COLUMNS.map((name) => `sum(sign * ${name}) <> 0`).join(' OR ')}
  ORDER BY bucket, grain, subject LIMIT $2`;

const AHEAD = `
  WITH ${COUNTED}, entries AS (
    SELECT status, provider_id, provider_slug, answering_model AS model, target_id, input_tokens, output_tokens,
      cached_tokens, reasoning_tokens, cost, latency_ms, time_to_first_token_ms FROM attempts_ahead
  ), summed AS (SELECT ${OF_CALL.join(', ')}, ${SUMMED} FROM entries GROUP BY ${OF_CALL.join(', ')})
  SELECT grain, ${OF_CALL.map((name) => `${name}::text`).join(', ')}, ${COLUMNS.map((name) => `${name}::text`).join(', ')}
  FROM summed, (VALUES ('MINUTE'), ('HOUR')) AS grains (grain)`;

const WRONG_SLOTS = `
  SELECT r.grain::text, r.bucket, r.series_id::text AS series
  FROM rollups r LEFT JOIN (
    SELECT grain, bucket, series_id, sum(count) AS count FROM rollup_latencies GROUP BY 1, 2, 3
  ) slots USING (grain, bucket, series_id)
  WHERE r.bucket >= $1::timestamptz AND coalesce(slots.count, 0) <> r.timed_requests
  ORDER BY r.bucket LIMIT 1000`;
