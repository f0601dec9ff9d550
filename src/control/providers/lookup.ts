import { PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import type { Provider } from '../../generated/prisma/client.ts';
import type { Services } from '../schema/context.ts';
import { stillThere } from '../schema/still-there.ts';

/** Where a provider is called: its own address, else its kind's; null for kinds without one. */
export function resolveBaseUrl(provider: { baseUrl: string | null; kind: ProviderKind }): string | null {
  return provider.baseUrl ?? PROVIDER_KINDS[provider.kind].defaultBaseUrl;
}

/**
 * The provider after a change, with what the client asked for. When that is `__typename` alone the selection is empty,
 * which Prisma refuses.
 * @throws ConflictError when somebody deleted it meanwhile.
 */
export async function readBack(query: { select?: object }, id: string, { prisma }: Services): Promise<Provider> {
  const wanted = query.select && Object.keys(query.select).length === 0 ? {} : query;
  return stillThere('provider', await prisma.provider.findUnique({ ...wanted, where: { id } }));
}
