import { type Run, SlotMap } from './slot-map.ts';

/** Sticky keys hash to so many slots, which the targets of a route own in proportion to their weights. */
export const SLOTS = 10_000;

/** Slots as flat ranges: from, to (exclusive), from, to … Sorted, not empty, and merged where they touch. */
export type SlotRanges = readonly number[];

/**
 * The slot of a sticky key, 0 to 9,999: FNV-1a over its UTF-8 bytes in 32 bits, stirred by MurmurHash3's finalizer, whose
 * avalanche FNV lacks, and scaled down. Keys stay where they are by it and decisions are replayed from it, so it never
 * changes.
 * @param key with the route's id in it, so that the splits of two routes are independent of each other
 */
export function slotOf(key: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  return Math.floor(((hash >>> 0) / 2 ** 32) * SLOTS);
}

/**
 * The place of the target that owns a slot; -1: none does, as among targets from before there were slots, and where no
 * weight is above 0.
 */
export function ownerOf(slot: number, targets: readonly { slots: SlotRanges }[]): number {
  return targets.findIndex(({ slots }) => isWithin(slot, slots));
}

/**
 * Divides all slots by new weights and moves no more of them than it must: a target that shrinks gives up exactly what
 * it has too much, one that grows takes exactly what it lacks, everything else stays. Which slots move is chosen so that
 * the ranges stay few.
 * @param old each target's ranges as they are; empty: it has none yet
 * @param weights whole numbers in the same order, whose sum is below 2^39; if all are 0, nobody owns anything
 * @returns each target's ranges. Their sizes are exact to within one slot: rounded by the largest remainder.
 */
export function reassign(old: readonly SlotRanges[], weights: readonly number[]): number[][] {
  const map = new SlotMap(SLOTS, old);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return weights.map(() => []);
  map.want(shareOut(weights, total, map.held));
  // What makes ranges fewer comes before what leaves them as many, and that before what makes them more.
  for (let taker = map.neediest(); taker !== undefined; taker = map.neediest()) {
    if (anyOf(map.spare(), (run) => joinNeighbour(map, run))) continue;
    if (anyOf(map.spare(), (run) => shiftBorder(map, run))) continue;
    handOver(map, map.spare(), taker);
  }
  return map.ranges();
}

/**
 * How many slots each weight gets. Of equal remainders those are rounded up that were before, so that the order of the
 * targets moves nothing.
 */
function shareOut(weights: readonly number[], total: number, held: readonly number[]): number[] {
  const shares = weights.map((weight, place) => {
    const count = Math.floor((weight * SLOTS) / total);
    return { place, count, remainder: (weight * SLOTS) % total, above: (held[place] ?? 0) - count };
  });
  const left = SLOTS - shares.reduce((sum, { count }) => sum + count, 0);
  const byRemainder = shares.toSorted((a, b) => b.remainder - a.remainder || b.above - a.above || a.place - b.place);
  for (const share of byRemainder.slice(0, left)) share.count += 1;
  return shares.map(({ count }) => count);
}

/** Whether it worked for any of them; it is tried for all. */
function anyOf(runs: readonly Run[], give: (run: Run) => boolean): boolean {
  return runs.filter(give).length > 0;
}

/** Gives a whole run to a neighbour. */
function joinNeighbour(map: SlotMap, run: Run): boolean {
  const taker = map.neighbours(run).find((side) => map.portion(run, side) === run.to - run.from);
  if (taker === undefined) return false;
  map.give(run, taker);
  return true;
}

/** Gives an end of a run to the neighbour there. */
function shiftBorder(map: SlotMap, run: Run): boolean {
  const [left = -1, right = -1] = map.neighbours(run);
  const atLeft = map.portion(run, left);
  if (atLeft > 0) {
    map.give({ ...run, to: run.from + atLeft }, left);
    return true;
  }
  const atRight = map.portion(run, right);
  if (atRight > 0) map.give({ ...run, from: run.to - atRight }, right);
  return atRight > 0;
}

/** Gives a whole run to somebody else, or else the largest part of one that can be given. */
function handOver(map: SlotMap, runs: readonly Run[], taker: number): void {
  const whole = runs.find((run) => map.portion(run, taker) === run.to - run.from);
  const run = whole ?? runs.reduce((best, one) => (map.portion(one, taker) > map.portion(best, taker) ? one : best));
  map.give({ ...run, to: run.from + map.portion(run, taker) }, taker);
}

function isWithin(slot: number, ranges: SlotRanges): boolean {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slot < (ranges[middle * 2 + 1] as number)) high = middle;
    else low = middle + 1;
  }
  return low * 2 < ranges.length && slot >= (ranges[low * 2] as number);
}
