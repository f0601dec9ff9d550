import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { Query, Span } from '../metrics/metrics.ts';

/** Sums over the upstream calls that went to a variant. */
export interface VariantSums {
  requests: bigint;
  succeeded: bigint;
  failed: bigint;
  cancelled: bigint;
  indeterminate: bigint;
  /** Of those that succeeded. */
  inputTokens: bigint;
  /** Of those that succeeded. */
  outputTokens: bigint;
  /** Of the priced ones. */
  cost: Picodollars;
  unpricedRequests: bigint;
}

/** The sums, and when the first minute or hour begins in which there was anything to sum up. */
export type DatedSums = VariantSums & { firstAt: Date | null };

const NOTHING: DatedSums = {
  ...{ requests: 0n, succeeded: 0n, failed: 0n, cancelled: 0n, indeterminate: 0n, inputTokens: 0n, outputTokens: 0n },
  ...{ cost: picodollars(0n), unpricedRequests: 0n, firstAt: null },
};

const SUMS = {
  requests: 'sum(r.requests)',
  succeeded: ofStatus('requests', 'SUCCEEDED'),
  failed: ofStatus('requests', 'FAILED'),
  cancelled: ofStatus('requests', 'CANCELLED'),
  indeterminate: ofStatus('requests', 'INDETERMINATE'),
  inputTokens: ofStatus('input_tokens', 'SUCCEEDED'),
  outputTokens: ofStatus('output_tokens', 'SUCCEEDED'),
  cost: 'sum(r.cost)',
  unpricedRequests: 'sum(r.unpriced)',
} as const satisfies Record<keyof VariantSums, string>;

function ofStatus(column: string, status: string): string {
  return `coalesce(sum(r.${column}) FILTER (WHERE s.status = '${status}'), 0)`;
}

const SELECT = Object.entries(SUMS)
  .map(([name, sum]) => `(${sum})::text AS "${name}"`)
  .join(', ');

/** One statement on the roll-ups, which equal the ledger; its price does not grow with the number of requests. */
export async function readVariantSums(
  query: Query,
  { grain, from, to }: Span,
  variantIds: readonly string[],
): Promise<(id: string) => DatedSums> {
  const { rows } = await query<Record<keyof VariantSums | 'id', string> & { firstAt: Date }>(
    `SELECT s.target_id AS id, min(r.bucket) AS "firstAt", ${SELECT}
       FROM rollups r JOIN rollup_series s ON s.id = r.series_id
      WHERE r.grain = $1::"RollupGrain" AND r.bucket >= $2 AND r.bucket < $3
        AND s.subject = 'ATTEMPT' AND s.target_id = ANY($4::uuid[])
      GROUP BY s.target_id`,
    [grain, from, to, variantIds],
  );
  const byId = new Map(
    rows.map(({ id, firstAt, ...texts }) => {
      const sums = Object.entries(texts).map(([name, text]) => [name, BigInt(text)]);
      return [id, { ...(Object.fromEntries(sums) as VariantSums), firstAt }];
    }),
  );
  return (id) => byId.get(id) ?? NOTHING;
}
