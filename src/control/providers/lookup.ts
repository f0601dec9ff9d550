import { PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import type { Provider } from '../../generated/prisma/client.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import { readBack, type Wanted } from '../schema/read-back.ts';

/** Where a provider is called: its own address, else its kind's; null for kinds without one. */
export function resolveBaseUrl(provider: { baseUrl: string | null; kind: ProviderKind }): string | null {
  return provider.baseUrl ?? PROVIDER_KINDS[provider.kind].defaultBaseUrl;
}

/**
 * A provider after a change, with what the client asked for.
 * @throws ConflictError when somebody deleted it meanwhile.
 */
export function readProvider(prisma: Transaction, wanted: Wanted, id: string): Promise<Provider> {
  return readBack('provider', wanted, (query) => prisma.provider.findUnique({ ...query, where: { id } }));
}
