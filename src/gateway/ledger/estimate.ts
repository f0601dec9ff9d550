import { countTokens as count } from 'gpt-tokenizer';
import type { Picodollars } from '../../platform/money.ts';
import { costOf, type PriceVersion, UNKNOWN_USAGE } from './prices.ts';

/** Beyond this many characters a text is counted by its beginning, so that counting never holds up the others. */
export const COUNTED_CHARACTERS = 16_384;
const SLICE = 512;
/** Names of special tokens in a text are text like any other. */
const PLAIN_TEXT = { disallowedSpecial: new Set<string>() };
/** Average of English prose and code; used where only bytes are known. */
const BYTES_PER_TOKEN = 4;

/**
 * A quick guess from the size of the body: what is posted when the outcome is never known. The cost is that of these
 * tokens at this price, so that it can be computed again from its row; what it may have been is the worst case.
 */
export function estimateInput(
  bodyBytes: number,
  price: PriceVersion | null,
): { inputTokens: number; cost: Picodollars | null } {
  const inputTokens = Math.ceil(bodyBytes / BYTES_PER_TOKEN);
  return { inputTokens, cost: costOf({ ...UNKNOWN_USAGE, inputTokens, outputTokens: 0 }, price) };
}

/**
 * Tokens of a text by OpenAI's o200k vocabulary: for usage that the provider did not report. Cut at spaces, because an
 * unbroken run of text blocks the tokenizer for seconds.
 *
 * @param beginning the text, or as much of it as was kept
 * @param length characters of the whole text; the rest is taken to be like the beginning
 */
export function countTokens(beginning: string, length = beginning.length): number {
  const counted = beginning.slice(0, COUNTED_CHARACTERS);
  let tokens = 0;
  for (let start = 0; start < counted.length; ) {
    const space = counted.lastIndexOf(' ', start + SLICE);
    const end = counted.length - start <= SLICE || space <= start ? Math.min(start + SLICE, counted.length) : space;
    tokens += count(counted.slice(start, end), PLAIN_TEXT);
    start = end;
  }
  return counted.length === 0 ? 0 : Math.ceil((tokens * length) / counted.length);
}
