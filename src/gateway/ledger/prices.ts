import { sha256Hex } from '../../platform/crypto.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';

/** Integer picodollars per token. A part that is absent costs what `input` costs. */
export interface PriceComponents {
  input: number;
  output: number;
  cacheRead?: number | undefined;
  cacheWrite?: number | undefined;
}

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

export const UNKNOWN_USAGE: Usage = {
  inputTokens: null,
  outputTokens: null,
  cachedTokens: null,
  cacheWriteTokens: null,
  cacheWrite1hTokens: null,
  reasoningTokens: null,
};

/** The same components always get the same id, whatever the order of their members. */
export function priceVersion(components: PriceComponents): PriceVersion {
  const { input, output, cacheRead, cacheWrite } = components;
  return { id: sha256Hex(JSON.stringify([input, output, cacheRead ?? null, cacheWrite ?? null])), components };
}

/** Usage × price, exactly. Null when the usage or the price is unknown: an unknown cost is never 0. */
export function costOf(usage: Usage, price: PriceVersion | null): Picodollars | null {
  if (!price || usage.inputTokens === null || usage.outputTokens === null) return null;
  const { input, output, cacheRead = input, cacheWrite = input } = price.components;
  const cached = Math.min(usage.cachedTokens ?? 0, usage.inputTokens);
  const written = Math.min(usage.cacheWriteTokens ?? 0, usage.inputTokens - cached);
  const plain = usage.inputTokens - cached - written;
  return picodollars(
    BigInt(plain) * BigInt(input) +
      BigInt(cached) * BigInt(cacheRead) +
      BigInt(written) * BigInt(cacheWrite) +
      BigInt(usage.outputTokens) * BigInt(output),
  );
}
