import { type Picodollars, picodollars } from '../../platform/money.ts';

/** Null: there are none. */
export function average(sum: bigint, count: bigint): number | null {
  return count === 0n ? null : Number(sum) / Number(count);
}

/** In whole picodollars, rounded half up. Null: there are none. */
export function averageCost(sum: bigint, count: bigint): Picodollars | null {
  return count === 0n ? null : picodollars((sum * 2n + count) / (count * 2n));
}
