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
