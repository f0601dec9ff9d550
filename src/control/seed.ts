import { keepVersions } from './schema/route-versions.ts';
import { createAdmin } from './seed/admin.ts';
import type { SeedParts } from './seed/parts.ts';
import { createProviders } from './seed/providers.ts';

/** What the first start made up, to be shown once; null: nothing, or the settings gave it. */
export interface SeedResult {
  adminEmail: string;
  adminPassword: string | null;
  apiKey: string | null;
}

/** Any number that no other advisory lock of Signalbox uses. */
const SEED_LOCK = 7_302_441_902n;

/**
 * Fills an empty database: providers with their models, the active sandbox, the route `default`, an admin and an API
 * key. All or nothing; does nothing where it was done before. Several servers may start at the same time.
 */
export async function seed(parts: SeedParts): Promise<SeedResult> {
  const { prisma, settings, log } = parts;
  const made = await prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(${SEED_LOCK})`;
      const seeded = await tx.route.findUnique({ where: { slug: 'default' } });
      if (seeded) return null;
      await tx.configuration.update({ where: { id: 1 }, data: { version: { increment: 1 } } });
      await createProviders(tx, parts);
      const { id } = await tx.route.create({ data: { slug: 'default', name: 'Default', aliases: [] } });
      await keepVersions(tx, [id], null);
      return createAdmin(tx, settings);
    },
    { maxWait: 30_000, timeout: 60_000 },
  );
  if (made) log.info('the database was seeded');
  return { adminEmail: settings.adminEmail, adminPassword: null, apiKey: null, ...made };
}
