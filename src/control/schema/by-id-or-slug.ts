import { isUuid } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';

/** How Prisma finds a thing by id or slug; a slug never looks like an id. */
export function byIdOrSlug(idOrSlug: string): { id: string } | { slug: string } {
  return isUuid(idOrSlug) ? { id: idOrSlug } : { slug: storable(idOrSlug) };
}
