import { sha256Hex } from '../../platform/crypto.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';

/** Integer picodollars per token. */
export type Rates = {
  input: number;
  output: number;
  /** Absent: as `input`. */
  cacheRead?: number | undefined;
  /** Kept for five minutes. Absent: as `input`. */
  cacheWrite?: number | undefined;
  /** Kept for an hour. Absent: as `cacheWrite`. */
  cacheWrite1h?: number | undefined;
  /** Absent: as `output`. */
  reasoning?: number | undefined;
};

/** What all tokens of a request cost whose input, cached tokens included, is longer than `above` tokens. */
export type Tier = Rates & { above: number };

/** A price. With tiers, the last one that a request reaches takes the place of the rates, for all of its tokens. */
export type PriceComponents = Rates & {
  /** Ascending. */
  tiers?: readonly Tier[] | undefined;
};

/** An immutable price: the id is the content hash of its components. */
export interface PriceVersion {
  id: string;
  components: PriceComponents;
}

/**
 * Tokens of one upstream call. `inputTokens` includes cached and cache-written ones, `outputTokens` includes reasoning.
 * Null: the provider did not say.
 */
export interface Usage {
  inputTokens: number | null;
  outputTokens: number | null;
  cachedTokens: number | null;
  cacheWriteTokens: number | null;
  /** Those of the written ones that are kept for an hour. */
  cacheWrite1hTokens: number | null;
  reasoningTokens: number | null;
}

/**
 * How a cost came about: usage × price version, what the provider said, or 0 because the call failed before its first
 * token.
 */
export type CostSource = 'PRICED' | 'REPORTED' | 'FREE';

export const UNKNOWN_USAGE: Usage = {
  inputTokens: null,
  outputTokens: null,
  cachedTokens: null,
  cacheWriteTokens: null,
  cacheWrite1hTokens: null,
  reasoningTokens: null,
};

/** The same components always get the same id, whatever the order of their members and tiers. */
export function priceVersion({ tiers = [], ...rates }: PriceComponents): PriceVersion {
  const ascending = [...tiers].sort((a, b) => a.above - b.above);
  const components = ascending.length > 0 ? { ...rates, tiers: ascending } : rates;
  return { id: sha256Hex(JSON.stringify(canonical(components))), components };
}

/** Rows name versions by the hash of this, so what it makes of a price must never change. */
function canonical({ tiers = [], ...rates }: PriceComponents): unknown[] {
  const { input, output, cacheRead, cacheWrite, cacheWrite1h, reasoning } = rates;
  const first = [input, output, cacheRead ?? null, cacheWrite ?? null];
  if (cacheWrite1h === undefined && reasoning === undefined && tiers.length === 0) return first;
  return [
    ...[...first, cacheWrite1h ?? null, reasoning ?? null],
    tiers.map(({ above, ...tier }) => [above, ...canonical(tier)]),
  ];
}

/**
 * Usage × price, exactly, and only from these two: a row's cost can always be computed again. Null when the usage or the
 * price is unknown: an unknown cost is never 0.
 */
export function costOf(usage: Usage, price: PriceVersion | null): Picodollars | null {
  if (!price || usage.inputTokens === null || usage.outputTokens === null) return null;
  const { input, output, ...parts } = ratesFor(usage.inputTokens, price.components);
  const { cacheRead = input, cacheWrite = input, cacheWrite1h = cacheWrite, reasoning = output } = parts;
  const cached = Math.min(usage.cachedTokens ?? 0, usage.inputTokens);
  const written = Math.min(usage.cacheWriteTokens ?? 0, usage.inputTokens - cached);
  const written1h = Math.min(usage.cacheWrite1hTokens ?? 0, written);
  const reasoned = Math.min(usage.reasoningTokens ?? 0, usage.outputTokens);
  return picodollars(
    BigInt(usage.inputTokens - cached - written) * BigInt(input) +
      BigInt(cached) * BigInt(cacheRead) +
      BigInt(written - written1h) * BigInt(cacheWrite) +
      BigInt(written1h) * BigInt(cacheWrite1h) +
      BigInt(usage.outputTokens - reasoned) * BigInt(output) +
      BigInt(reasoned) * BigInt(reasoning),
  );
}

/** The source of a cost that was recorded before sources were: then all were priced, and free ones have no tokens. */
export function impliedCostSource(cost: Picodollars | null, inputTokens: number | null): CostSource | null {
  if (cost === null) return null;
  return inputTokens === null ? 'FREE' : 'PRICED';
}

/** The most that one token of the input, and one of the output, can cost. */
export function dearestRates({ tiers = [], ...base }: PriceComponents): Pick<Rates, 'input' | 'output'> {
  const dearest = { input: 0, output: 0 };
  for (const { input, output, cacheRead = 0, cacheWrite = 0, cacheWrite1h = 0, reasoning = 0 } of [base, ...tiers]) {
    dearest.input = Math.max(dearest.input, input, cacheRead, cacheWrite, cacheWrite1h);
    dearest.output = Math.max(dearest.output, output, reasoning);
  }
  return dearest;
}

function ratesFor(inputTokens: number, { tiers = [], ...base }: PriceComponents): Rates {
  return tiers.findLast(({ above }) => inputTokens > above) ?? base;
}
