import { type Caller, isAdmin } from '../../gateway/admission/caller.ts';
import type { ApiKey, Prisma } from '../../generated/prisma/client.ts';
import { hashApiKey } from '../../platform/crypto.ts';
import { ForbiddenError, NotFoundError } from '../../platform/errors.ts';
import { isUuid, maskSecret, newApiKey, uuidv7 } from '../../platform/ids.ts';
import type { PageSource } from '../schema/connections.ts';
import type { Services } from '../schema/context.ts';
import { accountOf, isTheirs } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { changeAccounts } from './change-accounts.ts';
import { type CreateApiKeyInput, createApiKeyInput } from './input.ts';

/** What else to load with a key. */
export type ApiKeyQuery = Pick<Prisma.ApiKeyFindManyArgs, 'include'>;

type AccountServices = Pick<Services, 'prisma' | 'accounts'>;

/**
 * Creates an API key for the caller or, as an admin, for another user.
 * @returns the key itself, which is stored nowhere and cannot be shown again, and its row
 * @throws ValidationError; ForbiddenError when only an admin may; NotFoundError when there is no such owner.
 */
export async function createApiKey(
  services: AccountServices,
  caller: Caller,
  input: CreateApiKeyInput,
): Promise<{ key: string; apiKey: ApiKey }> {
  const wanted = parseInput(createApiKeyInput, input);
  const callerId = accountOf(caller).id;
  const ownerId = wanted.ownerId ?? callerId;
  const isAdminKey = wanted.isAdmin ?? false;
  if (ownerId !== callerId) assertAdmin(caller, 'Only an admin creates API keys for other users.');
  if (isAdminKey) assertAdmin(caller, 'Only an admin creates admin API keys.');
  const key = newApiKey();
  const apiKey = await changeAccounts(services, async (tx, revision) => {
    const owner = isUuid(ownerId) ? await tx.user.findUnique({ where: { id: ownerId }, select: { id: true } }) : null;
    if (!owner) throw new NotFoundError('There is no user with this ownerId.');
    return tx.apiKey.create({
      data: {
        id: uuidv7(),
        ownerId,
        name: wanted.name,
        hash: new Uint8Array(hashApiKey(key)),
        hint: maskSecret(key),
        isAdmin: isAdminKey,
        allowedRoutes: wanted.allowedRoutes ?? [],
        rateLimitPerMinute: wanted.rateLimitPerMinute ?? null,
        expiresAt: wanted.expiresAt ?? null,
        metadata: (wanted.metadata ?? {}) as Prisma.InputJsonObject,
        revision,
      },
    });
  });
  return { key, apiKey };
}

/**
 * Revokes a key for good; revoking it again changes nothing. Returns once this server refuses it.
 * @throws NotFoundError when there is none, or it is another's and the caller is no admin.
 */
export async function revokeApiKey(services: AccountServices, caller: Caller, id: string): Promise<ApiKey> {
  return changeAccounts(services, async (tx, revision) => {
    const apiKey = isUuid(id) ? await tx.apiKey.findUnique({ where: { id } }) : null;
    if (!apiKey || !isTheirs(caller, apiKey.ownerId)) throw new NotFoundError('There is no API key with this id.');
    if (apiKey.revokedAt) return apiKey;
    return tx.apiKey.update({ where: { id }, data: { revokedAt: new Date(), revision } });
  });
}

/**
 * API keys, newest first: the caller's own, or as an admin those of `ownerId` or everybody's.
 * @throws ForbiddenError when only an admin may.
 */
export function listApiKeys(
  { prisma }: Pick<Services, 'prisma'>,
  caller: Caller,
  { ownerId, all }: { ownerId: string | null; all: boolean },
  query: ApiKeyQuery,
): PageSource<ApiKey> {
  const callerId = accountOf(caller).id;
  const owner = ownerId ?? callerId;
  if (all || owner !== callerId) assertAdmin(caller, 'Only an admin sees the API keys of others.');
  const where: Prisma.ApiKeyWhereInput = all ? {} : { ownerId: isUuid(owner) ? owner : { in: [] } };
  return {
    rows: (after, limit) =>
      prisma.apiKey.findMany({
        ...query,
        where: after ? { ...where, id: { lt: after } } : where,
        orderBy: { id: 'desc' },
        take: limit,
      }),
    count: () => prisma.apiKey.count({ where }),
  };
}

function assertAdmin(caller: Caller, message: string): void {
  if (!isAdmin(caller)) throw new ForbiddenError(message);
}
