import type { ModelPrice } from '@pydantic/genai-prices';
import type { PriceComponents, Rates } from '../ledger/prices.ts';

/** How the list calls what our rates are. */
const NAMES = {
  input: 'input_mtok',
  output: 'output_mtok',
  cacheRead: 'cache_read_mtok',
  cacheWrite: 'cache_write_mtok',
  cacheWrite1h: 'cache_write_1h_mtok',
  reasoning: 'output_reasoning_mtok',
} satisfies Record<keyof Rates, string>;

/**
 * What the list prices apart and usage does not tell: searches are fees beside the tokens, and audio that is sent is
 * counted as text. Whatever else a price may hold decides what an ordinary answer costs, as a fee for each request does.
 */
const LEFT_OUT = new Set([
  'web_searches_kcount',
  'storage_searches_kcount',
  'input_audio_mtok',
  'cache_audio_read_mtok',
]);

/** @returns null for a price that cannot be told in rates per token: rather none than a wrong one. */
export function componentsOf(price: ModelPrice): PriceComponents | null {
  const names = new Set<string>(Object.values(NAMES));
  if (price.input_mtok === undefined || Object.keys(price).some((name) => !names.has(name) && !LEFT_OUT.has(name)))
    return null;
  const starts = Object.values(NAMES).flatMap((name) => {
    const listed = price[name];
    return typeof listed === 'object' ? listed.tiers.map(({ start }) => start) : [];
  });
  const tiers = [...new Set(starts)].map((above) => ({ above, ...ratesAt(price, above + 1) }));
  return { ...ratesAt(price, 0), ...(tiers.length > 0 ? { tiers } : {}) };
}

/** The rates for a request of so many input tokens. Models that only take in (embeddings) have no price of output. */
function ratesAt(price: ModelPrice, inputTokens: number): Rates {
  const rates: Rates = { input: 0, output: 0 };
  for (const part of Object.keys(NAMES) as (keyof Rates)[]) {
    const listed = price[NAMES[part]];
    if (listed === undefined) continue;
    const reached = typeof listed === 'object' ? listed.tiers.filter(({ start }) => inputTokens > start) : [];
    rates[part] = perToken(typeof listed === 'object' ? (reached.at(-1)?.price ?? listed.base) : listed);
  }
  return rates;
}

/**
 * USD per 1M tokens → picodollars per token. The few prices that are no whole number of those, such as $0.08333…, are
 * rounded: by at most $0.0000005 per 1M tokens.
 */
function perToken(usdPerMillion: number): number {
  return Math.round(usdPerMillion * 1_000_000);
}
