import { z } from 'zod';
import { ConflictError } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import type { Transaction } from './change-configuration.ts';

const LONGEST = 63;

export const slugInput = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits or dashes, not starting with a dash')
  .refine((value) => !isUuid(value), 'must not look like an id');

/** `"My Provider 2"` → `"my-provider-2"`; `fallback` where nothing of the name can stand in a slug. */
export function slugOf(name: string, fallback: string): string {
  const slug = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, LONGEST)
    .replace(/-+$/, '');
  return slug && !isUuid(slug) ? slug : fallback;
}

/**
 * What clients put in `model` names one thing: the slugs and aliases of routes and the slugs of providers are all
 * different. Two statements, however many names.
 * @param routeId the route whose own names they are; null: they are not a route's, or it is new
 * @throws ConflictError when one is taken.
 */
export async function requireFreeNames(
  tx: Transaction,
  names: readonly string[],
  routeId: string | null = null,
): Promise<void> {
  const wanted = [...names];
  const route = await tx.route.findFirst({
    where: {
      ...(routeId === null ? {} : { id: { not: routeId } }),
      OR: [{ slug: { in: wanted } }, { aliases: { hasSome: wanted } }],
    },
  });
  if (route) {
    const taken = [route.slug, ...route.aliases].find((name) => wanted.includes(name));
    throw new ConflictError(`The name "${taken}" is taken by the route "${route.slug}"; choose another one.`);
  }
  const provider = await tx.provider.findFirst({ where: { slug: { in: wanted } } });
  if (provider)
    throw new ConflictError(
      `The name "${provider.slug}" is taken by the provider "${provider.name}"; choose another one.`,
    );
}
