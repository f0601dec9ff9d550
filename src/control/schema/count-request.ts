import { assertWithinLimit } from '../../gateway/admission/rate-limit.ts';
import type { Context } from './context.ts';

/** Operations whose first field that counts was begun. */
const counted = new WeakSet<Context>();

/**
 * An operation counted as one request when it came in, however many completions or reports it holds under aliases.
 * @throws RateLimitedError when a further one is too many.
 */
export function countRequest(context: Context): void {
  if (counted.has(context)) assertWithinLimit(context.services.rateLimiter.take(context.caller));
  counted.add(context);
}
