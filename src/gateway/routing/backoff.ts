const BASE_MS = 250;
const LONGEST_MS = 8_000;

/**
 * How long to wait before the same target is called again: exponential, with full jitter, so that many clients of a
 * target that has just recovered do not all come back at once.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 * @param failures how often it failed, from 1
 * @param random from 0 to 1
 */
export function backoffMs(failures: number, random: number): number {
  return Math.round(Math.min(LONGEST_MS, BASE_MS * 2 ** (failures - 1)) * random);
}
