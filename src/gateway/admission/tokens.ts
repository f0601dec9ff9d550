import { jwtVerify, SignJWT } from 'jose';
import { AuthenticationError } from '../../platform/errors.ts';

const ISSUER = 'signalbox';
/** A sign-in can be refreshed for this long; then the password is asked for again. */
const LONGEST_SESSION_SECONDS = 30 * 24 * 3600;

/** What a sign-in token says. Role and tier are not in it: they are looked up, so a change takes effect at once. */
export interface TokenClaims {
  userId: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** When the password was given, seconds since 1970. */
  signedInAt: number;
}

/** Signs and checks sign-in tokens (JWT, HS256). */
export class Tokens {
  readonly #key: Uint8Array;
  readonly expiresInSeconds: number;

  constructor(secret: string, expiresInSeconds: number) {
    this.#key = new TextEncoder().encode(secret);
    this.expiresInSeconds = expiresInSeconds;
  }

  async sign(userId: string, signedInAt = Math.floor(Date.now() / 1000)): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ auth_time: signedInAt })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(ISSUER)
      .setSubject(userId)
      .setIssuedAt(now)
      .setExpirationTime(now + this.expiresInSeconds)
      .sign(this.#key);
  }

  /** @throws AuthenticationError when the token is malformed, expired, or signed by someone else. */
  async verify(token: string): Promise<TokenClaims> {
    try {
      const { payload } = await jwtVerify(token, this.#key, { issuer: ISSUER, algorithms: ['HS256'] });
      if (!payload.sub || !payload.exp) throw new Error('incomplete');
      const signedInAt = typeof payload.auth_time === 'number' ? payload.auth_time : (payload.iat ?? 0);
      return { userId: payload.sub, expiresAt: payload.exp * 1000, signedInAt };
    } catch {
      throw new AuthenticationError('The token is not valid or has expired. Sign in again.');
    }
  }

  /** @throws AuthenticationError when the sign-in is too long ago to be refreshed. */
  assertRefreshable(claims: TokenClaims): void {
    if (Date.now() / 1000 - claims.signedInAt > LONGEST_SESSION_SECONDS) {
      throw new AuthenticationError('The sign-in is more than 30 days old. Sign in with your password again.');
    }
  }
}
