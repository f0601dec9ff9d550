import type { User } from '../../generated/prisma/client.ts';
import { AuthenticationError, RateLimitedError } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import type { Services } from '../schema/context.ts';
import { parseInput } from '../schema/parse-input.ts';
import { type LogInInput, logInInput, type RefreshTokenInput, refreshTokenInput } from './input.ts';
import { isPassword } from './passwords.ts';

/** A new sign-in. */
export interface SignIn {
  token: string;
  /** Seconds the token is valid. */
  expiresIn: number;
  user: User;
}

/** Passwords being checked, by address. */
const checking = new Map<string, number>();

type SignInServices = Pick<Services, 'prisma' | 'tokens' | 'rateLimiter'>;

/**
 * Signs a user in by password.
 * @throws ValidationError; AuthenticationError when e-mail or password is wrong, without saying which; RateLimitedError
 * after too many failures from the address.
 */
export async function logIn(services: SignInServices, input: LogInInput, address: string): Promise<SignIn> {
  const { email, password } = parseInput(logInInput, input);
  const { remaining, retryAfterSeconds } = services.rateLimiter.failures(address);
  const pending = checking.get(address) ?? 0;
  // Those being checked may all turn out wrong, so many at once are no way around the limit.
  if (pending >= remaining) {
    const seconds = Math.max(1, retryAfterSeconds);
    throw new RateLimitedError(`Too many failed sign-ins from this address. Try again in ${seconds} s.`, seconds);
  }
  checking.set(address, pending + 1);
  try {
    const user = await services.prisma.user.findUnique({ where: { email } });
    if (!(await isPassword(password, user?.passwordHash ?? null)) || !user) {
      services.rateLimiter.takeFailure(address);
      throw new AuthenticationError('E-mail address or password is wrong.');
    }
    return await signIn(services, user);
  } finally {
    const left = (checking.get(address) ?? 1) - 1;
    if (left > 0) checking.set(address, left);
    else checking.delete(address);
  }
}

/**
 * A fresh token for one that is still valid. The password is asked for again 30 days after it was given.
 * @throws ValidationError; AuthenticationError when the token is not valid, too old, or its user may not sign in any more.
 */
export async function refreshToken(services: SignInServices, input: RefreshTokenInput): Promise<SignIn> {
  const { token } = parseInput(refreshTokenInput, input);
  const claims = await services.tokens.verify(token);
  services.tokens.assertRefreshable(claims);
  const user = isUuid(claims.userId) ? await services.prisma.user.findUnique({ where: { id: claims.userId } }) : null;
  if (!user) throw new AuthenticationError('The account does not exist any more.');
  return signIn(services, user, claims.signedInAt);
}

async function signIn(services: SignInServices, user: User, signedInAt?: number): Promise<SignIn> {
  if (!user.isActive) throw new AuthenticationError('The account has been switched off. Ask an admin.');
  const token = await services.tokens.sign(user.id, signedInAt);
  return { token, expiresIn: services.tokens.expiresInSeconds, user };
}
