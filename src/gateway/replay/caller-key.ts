import { AuthenticationError } from '../../platform/errors.ts';
import type { Caller } from '../admission/caller.ts';

/** What a caller may name a request: `requestId` in GraphQL, the header `Idempotency-Key` on `/v1`. */
export const CALLER_KEY = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;
export const CALLER_KEY_RULE = 'must be 1 to 200 printable characters';

/** A caller's own name for a request. */
export interface KeyName {
  /** The user's id: an API key acts as its owner. */
  caller: string;
  key: string;
}

/** @throws AuthenticationError for callers who are nobody: whoever has their address next would be them. */
export function keyNameOf(caller: Caller, key: string): KeyName {
  if (caller.kind === 'ANONYMOUS') {
    throw new AuthenticationError(
      'A request id of your own (requestId, Idempotency-Key) needs an API key or a sign-in: an address is no identity. Send one, or leave the id out.',
    );
  }
  return { caller: caller.account.id, key };
}
