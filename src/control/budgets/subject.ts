import { type Caller, isAdmin } from '../../gateway/admission/caller.ts';
import type { BudgetScope } from '../../generated/prisma/client.ts';
import { ForbiddenError, NotFoundError, ProviderNotFoundError, RouteNotFoundError } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import { findUser, isNameOf } from '../accounts/accounts.ts';
import { byIdOrSlug } from '../schema/by-id-or-slug.ts';
import type { Services } from '../schema/context.ts';
import { accountOf, isTheirs } from '../schema/owners.ts';

/** What a budget is about. */
export interface Subject {
  /** Empty for EVERYTHING. */
  id: string;
  /** Who may see the budget besides admins. */
  ownerId: string | null;
}

type SubjectServices = Pick<Services, 'prisma' | 'snapshots'>;

/**
 * Finds what a budget is to be about, and makes sure that the caller may set one for it.
 * @param wanted what the caller named; empty with EVERYTHING, and with USER for the caller
 * @throws ForbiddenError, which does not tell whether the thing exists; NotFoundError, RouteNotFoundError,
 *   ProviderNotFoundError
 */
export async function findSubject(
  services: SubjectServices,
  caller: Caller,
  scope: BudgetScope,
  wanted: string,
): Promise<Subject> {
  const account = accountOf(caller);
  if (scope === 'USER' && (wanted === '' || isNameOf(account, wanted))) return { id: account.id, ownerId: account.id };
  if (!isAdmin(caller) && scope !== 'API_KEY') throw notYours();
  switch (scope) {
    case 'EVERYTHING':
      return { id: '', ownerId: null };
    case 'USER': {
      const { id } = await findUser(services, wanted);
      return { id, ownerId: id };
    }
    case 'API_KEY':
      return findApiKey(services, caller, wanted);
    case 'ROUTE': {
      const route = await services.prisma.route.findUnique({ where: byIdOrSlug(wanted) });
      if (!route) throw new RouteNotFoundError('There is no route with this id or slug.');
      return { id: route.id, ownerId: null };
    }
    case 'PROVIDER': {
      const provider = await services.prisma.provider.findUnique({ where: byIdOrSlug(wanted) });
      if (!provider) throw new ProviderNotFoundError(wanted, services.snapshots.current.providers);
      return { id: provider.id, ownerId: null };
    }
  }
}

async function findApiKey({ prisma }: SubjectServices, caller: Caller, wanted: string): Promise<Subject> {
  const key = isUuid(wanted) ? await prisma.apiKey.findUnique({ where: { id: wanted } }) : null;
  if (!isTheirs(caller, key?.ownerId ?? null)) throw notYours();
  if (!key) throw new NotFoundError('There is no API key with this id.');
  return { id: key.id, ownerId: key.ownerId };
}

function notYours(): ForbiddenError {
  return new ForbiddenError('You may set budgets for yourself and for your own API keys; all others are for admins.');
}
