import { PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import { isUuid } from '../../platform/ids.ts';

/** How Prisma finds a provider by id or slug; a slug never looks like an id. */
export function byIdOrSlug(idOrSlug: string): { id: string } | { slug: string } {
  // Postgres refuses texts with NUL, which no slug has.
  return isUuid(idOrSlug) ? { id: idOrSlug } : { slug: idOrSlug.replaceAll('\0', '\ufffd') };
}

/** Where a provider is called: its own address, else its kind's; null for kinds without one. */
export function resolveBaseUrl(provider: { baseUrl: string | null; kind: ProviderKind }): string | null {
  return provider.baseUrl ?? PROVIDER_KINDS[provider.kind].defaultBaseUrl;
}
