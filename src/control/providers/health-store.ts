import type { ProviderStatus } from '../../generated/prisma/client.ts';
import { publishEvent } from '../../platform/events/feed.ts';
import type { Services } from '../schema/context.ts';

/** What was seen of a provider. */
export interface Observation {
  status: ProviderStatus;
  at: Date;
  latencyMs: number | null;
  /** HTTP status of the provider's answer; null: it gave none. */
  upstreamStatus: number | null;
  /** The failure in a sentence; null: there was none. */
  detail: string | null;
}

/** What subscribers of every server are told when the status of a provider changes. */
export interface HealthEvent {
  providerId: string;
  status: ProviderStatus;
  /** Null: nothing was known before. */
  previousStatus: ProviderStatus | null;
  source: HealthSource;
  /** ISO 8601. */
  checkedAt: string;
  latencyMs: number | null;
  upstreamStatus: number | null;
  detail: string | null;
}

export type HealthSource = 'TEST' | 'PROBE' | 'TRAFFIC';

/**
 * Keeps what was seen of a provider, and tells all servers if that changes its status. What traffic shows is kept only
 * then. The last to write wins; a provider that is gone meanwhile is passed over.
 */
export async function writeHealth(
  { prisma }: Pick<Services, 'prisma'>,
  providerId: string,
  source: HealthSource,
  { status, at, ...seen }: Observation,
): Promise<void> {
  await prisma.$transaction(async (tx) => {
    // Whoever else has seen something of this provider waits here, so that each change is told once.
    const held = await tx.$executeRaw`SELECT 1 FROM providers WHERE id = ${providerId}::uuid FOR NO KEY UPDATE`;
    if (held === 0) return;
    const previous = await tx.providerHealth.findUnique({ where: { providerId } });
    const hasChanged = previous?.status !== status;
    if (!hasChanged && source === 'TRAFFIC') return;
    const row = { ...seen, status, checkedAt: at, since: hasChanged ? at : (previous?.since ?? at) };
    await tx.providerHealth.upsert({ where: { providerId }, create: { providerId, ...row }, update: row });
    if (!hasChanged) return;
    const event: HealthEvent = {
      ...{ providerId, status, previousStatus: previous?.status ?? null, source },
      ...{ checkedAt: at.toISOString(), ...seen },
    };
    await publishEvent(tx, 'PROVIDER_HEALTH', event);
  });
}
