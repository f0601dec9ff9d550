import type { IncomingHttpHeaders } from 'node:http';
import type { Services } from '../control/schema/context.ts';
import { authenticate } from '../gateway/admission/authenticate.ts';
import type { Caller } from '../gateway/admission/caller.ts';
import { assertWithinLimit } from '../gateway/admission/rate-limit.ts';
import { AuthenticationError } from '../platform/errors.ts';

export type IdentifyParts = Pick<Services, 'accounts' | 'tokens' | 'rateLimiter'>;

/** The credential of a request: `Authorization`, or an API key in `x-api-key`. */
export function credentialOf(headers: IncomingHttpHeaders): string | null {
  if (headers.authorization) return headers.authorization;
  const key = headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? `Bearer ${key}` : null;
}

/**
 * Finds the caller, without a promise where they are in memory. Wrong credentials count against their address; an
 * address with too many of them is not looked up in the database any more until the minute is over.
 * @throws AuthenticationError, RateLimitedError, OverloadedError (also as rejections)
 */
export function identify(credential: string | null, address: string, parts: IdentifyParts): Caller | Promise<Caller> {
  try {
    const caller = authenticate(credential, address, parts.accounts, parts.tokens);
    return caller instanceof Promise ? caller.catch((error) => refuse(error, address, parts)) : caller;
  } catch (error) {
    return refuse(error, address, parts);
  }
}

function refuse(error: unknown, address: string, parts: IdentifyParts): never {
  if (error instanceof AuthenticationError) assertWithinLimit(parts.rateLimiter.takeFailure(address));
  throw error;
}
