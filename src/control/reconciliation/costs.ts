import { costOf, type PriceComponents, type Usage } from '../../gateway/ledger/prices.ts';
import { toUsd } from '../../platform/money.ts';
import { type Books, type Check, sinceOf, tell } from './check.ts';

const PAGE = 10_000;
const MAX_COST = 2n ** 63n - 1n;

const WHAT = { attempts: 'attempt', usage_events: 'usage event', corrections: 'correction' } as const;
type Table = keyof typeof WHAT;

/** Costs that come from a price are what usage and price make, to the picodollar; free ones are 0. */
export const checkCosts: Check = async (books) => {
  const wrong: string[] = [];
  const sides: string[] = [];
  for (const table of Object.keys(WHAT) as Table[]) {
    const { count, stored, computed, differing } = await recompute(books, table);
    sides.push(`${count} ${WHAT[table]}s of $${toUsd(stored)}, computed $${toUsd(computed)}`);
    wrong.push(...tell(differing, (told) => told));
  }
  return [{ name: 'costs by usage and price', sides: sides.join('; '), wrong }];
};

interface Row {
  id: string;
  cost: string;
  costSource: 'PRICED' | 'FREE';
  priceVersionId: string | null;
  components: PriceComponents | null;
  usage: Usage;
}

/** Page after page, so that a ledger of any size takes the same memory. */
async function recompute(books: Books, table: Table) {
  const differing: string[] = [];
  let [count, stored, computed] = [0, 0n, 0n];
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const rows = await books.query<Row>(pageOf(table), [sinceOf(books), after, PAGE]);
    for (const row of rows) {
      const cost = computedCost(row);
      count += 1;
      stored += BigInt(row.cost);
      computed += cost ?? 0n;
      if (cost === BigInt(row.cost)) continue;
      const made = cost === null ? 'nothing, for its price is not there' : `$${toUsd(cost)}`;
      differing.push(`${WHAT[table]} ${row.id} cost $${toUsd(BigInt(row.cost))}, but its usage and price make ${made}`);
    }
    const last = rows.at(-1);
    if (!last || rows.length < PAGE) return { count, stored, computed, differing };
    after = last.id;
  }
}

function computedCost({ costSource, usage, components, priceVersionId }: Row): bigint | null {
  if (costSource === 'FREE') return 0n;
  if (priceVersionId === null || components === null) return null;
  const cost = costOf(usage, { id: priceVersionId, components });
  return cost !== null && cost > MAX_COST ? MAX_COST : cost;
}

/** Rows from before costs had a source are left out: what they were priced with is not known for certain. */
function pageOf(table: Table): string {
  const time = { attempts: 'started_at', usage_events: 'recorded_at', corrections: 'created_at' }[table];
  return `
    SELECT r.id, r.cost::text, r.cost_source::text AS "costSource", r.price_version_id AS "priceVersionId",
      p.components, json_build_object('inputTokens', r.input_tokens, 'outputTokens', r.output_tokens,
        'cachedTokens', r.cached_tokens, 'cacheWriteTokens', r.cache_write_tokens,
        'cacheWrite1hTokens', r.cache_write_1h_tokens, 'reasoningTokens', r.reasoning_tokens) AS usage
    FROM ${table} r LEFT JOIN price_versions p ON p.id = r.price_version_id
    WHERE r.${time} >= $1::timestamptz AND r.cost_source IN ('PRICED', 'FREE') AND r.cost IS NOT NULL AND r.id > $2
    ORDER BY r.id LIMIT $3`;
}
