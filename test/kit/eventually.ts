import { setTimeout as delay } from 'node:timers/promises';

/** Tries `check` until it no longer throws; its last error after `limitMs`. */
export async function eventually<T>(check: () => T | Promise<T>, limitMs = 5_000): Promise<T> {
  for (const end = performance.now() + limitMs; ; await delay(20)) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
  }
}

/** What `condition` gives once that is truthy; fails after `limitMs`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what = 'the condition',
  limitMs = 10_000,
): Promise<NonNullable<T>> {
  for (const end = performance.now() + limitMs; ; await delay(10)) {
    const value = await condition();
    if (value) return value as NonNullable<T>;
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
  }
}
