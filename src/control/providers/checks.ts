import type { DialectName } from '../../gateway/upstream/dialect.ts';
import { choosesDialect, PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import type { Provider } from '../../generated/prisma/client.ts';
import { invalid, ProviderNotFoundError, type ValidationError } from '../../platform/errors.ts';
import { byIdOrSlug } from '../schema/by-id-or-slug.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { resolveBaseUrl } from './lookup.ts';

/** What the services of this room need. */
export type ProviderServices = Pick<Services, 'prisma' | 'snapshots' | 'secretBox'>;

export async function findProvider(tx: Transaction, services: ProviderServices, idOrSlug: string) {
  const provider = await tx.provider.findUnique({
    where: byIdOrSlug(idOrSlug),
    include: { keys: { select: { id: true } } },
  });
  if (provider) return provider;
  throw new ProviderNotFoundError(idOrSlug, services.snapshots.current.providers);
}

export async function activeProviderId(tx: Transaction): Promise<string | null> {
  const configuration = await tx.configuration.findUniqueOrThrow({ where: { id: 1 } });
  return configuration.activeProviderId;
}

export async function requireInactive(tx: Transaction, provider: Provider): Promise<void> {
  if ((await activeProviderId(tx)) !== provider.id) return;
  throw invalid('isEnabled', `The provider "${provider.slug}" is the active one; activate another one first.`);
}

export function requireBaseUrl(kind: ProviderKind, baseUrl: string | null): void {
  if (kind !== 'SANDBOX' && resolveBaseUrl({ kind, baseUrl }) === null)
    throw invalid('baseUrl', `must be given, because the kind ${kind} has no default`);
}

export function requireKnownDialect(kind: ProviderKind, dialect: DialectName | null): void {
  if (dialect !== null && !choosesDialect(kind) && dialect !== PROVIDER_KINDS[kind].dialect)
    throw invalid('dialect', `must be left out, because the kind ${kind} speaks ${PROVIDER_KINDS[kind].dialect}`);
}

export function mayServe(kind: ProviderKind, keyCount: number): boolean {
  return keyCount > 0 || PROVIDER_KINDS[kind].worksWithoutKey;
}

export function keyNeeded(path: string, provider: string): ValidationError {
  return invalid(path, `The provider "${provider}" needs a key before it can be enabled; set one with setProviderKey.`);
}
