import type { Services } from '../../control/schema/context.ts';
import { authenticate } from '../../gateway/admission/authenticate.ts';
import type { Caller } from '../../gateway/admission/caller.ts';
import { AuthenticationError } from '../../platform/errors.ts';

/** A caller who stays: for the length of a request, of a subscription, or of a socket. */
export interface Session {
  /** As of the last look. */
  caller: Caller;
  /**
   * Looks the caller up again and remembers what it finds. A known caller costs no query.
   * @throws AuthenticationError when the credential has expired or was revoked, or the account was switched off.
   */
  renew(): Caller | Promise<Caller>;
}

/** @param credential what the caller was found by */
export function openSession(caller: Caller, credential: string | null, address: string, services: Services): Session {
  const { accounts, tokens } = services;
  const session: Session = {
    caller,
    renew() {
      const found = find();
      if (!(found instanceof Promise)) return remember(found);
      return found.then(remember);
    },
  };

  function find(): Caller | Promise<Caller> {
    if (caller.kind !== 'USER') return authenticate(credential, address, accounts, tokens);
    // The signature was checked when the session began; only time and the account can have changed since.
    if (caller.expiresAt <= Date.now()) throw new AuthenticationError('The token has expired. Sign in again.');
    const account = accounts.account(caller.account.id);
    return account instanceof Promise ? account.then((found) => withAccount(found)) : withAccount(account);
  }

  function withAccount(account: Awaited<ReturnType<typeof accounts.account>>): Caller {
    if (caller.kind !== 'USER') return caller;
    if (!account?.isActive) throw new AuthenticationError('The account has been switched off. Ask an admin.');
    return { ...caller, account };
  }

  function remember(found: Caller): Caller {
    session.caller = found;
    return found;
  }

  return session;
}
