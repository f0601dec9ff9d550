import { type Picodollars, picodollars } from '../../platform/money.ts';
import { dearestRates, type PriceVersion } from '../ledger/prices.ts';

/** The most that a call can cost, and what that depends on. */
export interface WorstCase {
  /** Picodollars for the input, and for all else that does not depend on how long the answer is. */
  input: bigint;
  /** Picodollars for one more token of each choice. */
  perToken: bigint;
  /** Tokens that each choice can have. */
  outputTokens: number;
  /** With fewer tokens for each choice the call is none. */
  fewestTokens: number;
}

/** A shorter answer than this is none. */
const SHORTEST_ANSWER = 16;

/**
 * The most that a call can cost, by the dearest rates of its price, cache writes and tiers included.
 * @param outputTokens that each choice can have
 * @param predictedTokens paid like output, beyond those
 */
export function worstCase(
  inputTokens: number,
  outputTokens: number,
  choices: number,
  predictedTokens: number,
  { components }: PriceVersion,
): WorstCase {
  const { input, output } = dearestRates(components);
  return {
    input: BigInt(inputTokens) * BigInt(input) + BigInt(predictedTokens * choices) * BigInt(output),
    perToken: BigInt(choices) * BigInt(output),
    outputTokens,
    fewestTokens: SHORTEST_ANSWER,
  };
}

/** Picodollars for that many tokens of each choice; by default for all there can be. */
export function costOfWorst(worst: WorstCase, outputTokens = worst.outputTokens): Picodollars {
  return picodollars(worst.input + worst.perToken * BigInt(outputTokens));
}

/** Picodollars for the shortest answer that is one. */
export function leastCost(worst: WorstCase): Picodollars {
  return costOfWorst(worst, Math.min(worst.outputTokens, worst.fewestTokens));
}

/** The tokens of each choice that an amount pays, once it has paid the input. */
export function tokensWithin(worst: WorstCase, amount: bigint): number {
  if (worst.perToken === 0n) return worst.outputTokens;
  const tokens = (amount - worst.input) / worst.perToken;
  return tokens < BigInt(worst.outputTokens) ? Number(tokens) : worst.outputTokens;
}
