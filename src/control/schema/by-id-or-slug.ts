import { isUuid } from '../../platform/ids.ts';

/** How Prisma finds a thing by id or slug; a slug never looks like an id. */
export function byIdOrSlug(idOrSlug: string): { id: string } | { slug: string } {
  // Postgres refuses texts with NUL, which no slug has.
  return isUuid(idOrSlug) ? { id: idOrSlug } : { slug: idOrSlug.replaceAll('\0', '\ufffd') };
}
