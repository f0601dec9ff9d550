import { setNewest } from '../../platform/bounded-map.ts';
import { RateLimitedError } from '../../platform/errors.ts';
import type { Settings } from '../../platform/settings.ts';
import type { Caller, Tier } from './caller.ts';

const WINDOW_MS = 60_000;
/** Buckets kept at most; the oldest go first. */
const LIMIT = 200_000;
/** Wrong passwords and unknown keys a minute for one address. */
const FAILED_SIGN_INS_PER_MINUTE = 20;
/** Tests of providers a minute for one admin: enough to find a mistake, too few to try keys out. */
const PROVIDER_TESTS_PER_MINUTE = 10;

/** Requests a minute for signed-in users and for keys without a limit of their own. */
const TIER_LIMITS: Record<Tier, number> = { FREE: 1_000, STARTER: 5_000, PROFESSIONAL: 20_000, ENTERPRISE: 100_000 };

/** Where a caller stands after a request; what the `x-ratelimit-*` headers say. */
export interface RateLimitState {
  allowed: boolean;
  limit: number;
  remaining: number;
  /** Seconds until `remaining` is `limit` again. */
  resetSeconds: number;
  /** Seconds until the next request will be allowed; 0 when this one was. */
  retryAfterSeconds: number;
  /** Whose limit it is, for people. */
  whose: string;
}

/**
 * A token bucket for each caller: as many as the limit at once, refilled evenly over the minute, so that there is no
 * window edge at which twice the limit passes.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  readonly #anonymousLimit: number;

  constructor(settings: Pick<Settings, 'rateLimitPerMinute'>) {
    this.#anonymousLimit = settings.rateLimitPerMinute;
  }

  /** Counts one request of the caller. Null: the caller has no limit. */
  take(caller: Caller, now = Date.now()): RateLimitState | null {
    if (caller.kind === 'ANONYMOUS') {
      if (this.#anonymousLimit === 0) return null;
      return this.#take(`address ${caller.address}`, this.#anonymousLimit, 1, 'this address', now);
    }
    if (caller.kind === 'API_KEY' && caller.key.rateLimitPerMinute !== null) {
      return this.#take(`key ${caller.key.id}`, caller.key.rateLimitPerMinute, 1, 'this API key', now);
    }
    const { id, tier } = caller.account;
    return this.#take(`user ${id}`, TIER_LIMITS[tier], 1, `the tier ${tier}`, now);
  }

  /** Counts a failed sign-in or an unknown key of an address. */
  takeFailure(address: string, now = Date.now()): RateLimitState {
    return this.#take(`failures ${address}`, FAILED_SIGN_INS_PER_MINUTE, 1, 'failed sign-ins from this address', now);
  }

  /** Whether an address has failed too often to be heard now; counts nothing. */
  failures(address: string, now = Date.now()): RateLimitState {
    return this.#take(`failures ${address}`, FAILED_SIGN_INS_PER_MINUTE, 0, 'failed sign-ins from this address', now);
  }

  /** Counts a test of a provider by an admin. */
  takeProviderTest(adminId: string, now = Date.now()): RateLimitState {
    return this.#take(`provider tests ${adminId}`, PROVIDER_TESTS_PER_MINUTE, 1, 'tests of providers', now);
  }

  #take(name: string, limit: number, cost: number, whose: string, now: number): RateLimitState {
    const perMs = limit / WINDOW_MS;
    const bucket = this.#buckets.get(name);
    const filled = bucket ? Math.min(limit, bucket.tokens + Math.max(0, now - bucket.at) * perMs) : limit;
    const needed = Math.max(cost, 1);
    const allowed = filled >= needed;
    const tokens = allowed ? filled - cost : filled;
    if (cost > 0) this.#store(name, { tokens, at: now });
    return {
      allowed,
      limit,
      remaining: Math.floor(tokens),
      resetSeconds: Math.ceil((limit - tokens) / perMs / 1000),
      retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil((needed - filled) / perMs / 1000)),
      whose,
    };
  }

  #store(name: string, bucket: { tokens: number; at: number }): void {
    // The first entry is the one longest unused.
    setNewest(this.#buckets, name, bucket, LIMIT);
  }
}

/** @throws RateLimitedError when the state says that the request is one too many */
export function assertWithinLimit(state: RateLimitState | null): void {
  if (!state || state.allowed) return;
  throw new RateLimitedError(
    `Too many requests: ${state.whose} allows ${state.limit} a minute. Try again in ${state.retryAfterSeconds} s.`,
    state.retryAfterSeconds,
  );
}
