/**
 * Latencies are counted in logarithmic slots, as in DDSketch (Masson, Rim, Lee 2019): a slot's estimate is within 5% of
 * every latency in it, and histograms of any two spans of time can be added. Slot 0 is 0 ms; slot n > 0 holds
 * (GROWTH^(n-2), GROWTH^(n-1)] milliseconds, so 1 ms is in slot 1 and 24 days are in slot 216.
 */
const ERROR = 0.05;
const GROWTH = (1 + ERROR) / (1 - ERROR);
const LOG_GROWTH = Math.log(GROWTH);

/** The slot of a latency of whole milliseconds; a negative one counts as 0. */
export function latencySlot(ms: number): number {
  return ms < 1 ? 0 : Math.ceil(Math.log(ms) / LOG_GROWTH - 1e-9) + 1;
}

/** The latencies in a slot, in milliseconds: above `over` and up to `upTo`. */
export function slotBounds(slot: number): { over: number; upTo: number } {
  if (slot === 0) return { over: -1, upTo: 0 };
  return { over: slot === 1 ? 0 : GROWTH ** (slot - 2), upTo: GROWTH ** (slot - 1) };
}

/** The estimate for the latencies in a slot, in milliseconds. */
export function slotValue(slot: number): number {
  if (slot <= 1) return slot;
  return (2 * GROWTH ** (slot - 1)) / (GROWTH + 1);
}

/**
 * The latency that a share of all stay at or under (nearest rank), within 5%.
 * @param slots how many latencies each slot holds, in any order; a slot may come more than once.
 * @param share from 0 to 1: 0.95 is the p95.
 * @returns milliseconds; null when there are none.
 */
export function percentile(slots: Iterable<{ slot: number; count: number }>, share: number): number | null {
  const sorted = [...slots].sort((a, b) => a.slot - b.slot);
  const total = sorted.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return null;
  let rank = Math.max(Math.ceil(share * total), 1);
  for (const { slot, count } of sorted) {
    rank -= count;
    if (rank <= 0) return slotValue(slot);
  }
  return null;
}
