import { AuthenticationError } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import type { AccountCache } from './accounts.ts';
import type { Account, Caller, IssuedKey } from './caller.ts';
import type { Tokens } from './tokens.ts';

/** Longer credentials are refused unread. */
const LONGEST_CREDENTIAL = 4096;

/**
 * Finds the caller of a request. A known API key is found in memory, without a query and without a promise.
 * @param authorization the header's value, or null
 * @throws AuthenticationError when a credential was given and is not valid; OverloadedError when it cannot be checked
 */
export function authenticate(
  authorization: string | null,
  address: string,
  accounts: AccountCache,
  tokens: Tokens,
): Caller | Promise<Caller> {
  if (!authorization) return { kind: 'ANONYMOUS', address };
  if (authorization.length > LONGEST_CREDENTIAL) throw new AuthenticationError('The credential is too long.');
  const credential = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  if (!credential) throw new AuthenticationError('Send the credential as "Authorization: Bearer <API key or token>".');
  return credential.startsWith('sbx_')
    ? authenticateKey(credential, accounts)
    : authenticateToken(credential, accounts, tokens);
}

function authenticateKey(secret: string, accounts: AccountCache): Caller | Promise<Caller> {
  const key = accounts.key(secret);
  if (key instanceof Promise) return key.then((found) => withOwner(found, accounts));
  return withOwner(key, accounts);
}

function withOwner(key: IssuedKey | null, accounts: AccountCache): Caller | Promise<Caller> {
  if (!key) throw new AuthenticationError('There is no such API key.');
  if (key.revokedAt !== null) throw new AuthenticationError('This API key has been revoked.');
  if (key.expiresAt !== null && key.expiresAt <= Date.now()) throw new AuthenticationError('This API key has expired.');
  const owner = accounts.account(key.ownerId);
  if (owner instanceof Promise) return owner.then((found) => ({ kind: 'API_KEY', account: active(found), key }));
  return { kind: 'API_KEY', account: active(owner), key };
}

async function authenticateToken(token: string, accounts: AccountCache, tokens: Tokens): Promise<Caller> {
  const claims = await tokens.verify(token);
  if (!isUuid(claims.userId)) throw new AuthenticationError('The token names no user. Sign in again.');
  return { kind: 'USER', account: active(await accounts.account(claims.userId)), expiresAt: claims.expiresAt };
}

function active(account: Account | null): Account {
  if (!account) throw new AuthenticationError('The account does not exist any more.');
  if (!account.isActive) throw new AuthenticationError('The account has been switched off. Ask an admin.');
  return account;
}
