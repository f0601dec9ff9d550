import type { FastifyInstance } from 'fastify';
import type { Services } from '../control/schema/context.ts';
import { VERSION } from '../platform/version.ts';

/** How long Postgres may take to answer before it counts as away. */
const CHECK_MS = 1_000;

/** `/ping` (the process is alive) and `/health` (what it depends on). Neither needs a key. */
export function registerHealth(app: FastifyInstance, services: Services): void {
  app.get('/ping', async () => ({ status: 'ok' }));

  app.get('/health', async (_request, reply) => {
    const database = await checkDatabase(services);
    const ledger = services.ledger.status();
    const { version } = services.snapshots.current;
    const { pendingBytes, maxBytes } = ledger;
    const ledgerStatus = ledger.isFull ? 'full' : ledger.lastError === null ? 'ok' : 'behind';
    // Without Postgres completions go on: that is degraded, not down, and no reason to be taken out of service.
    const status = database.status === 'ok' && ledgerStatus === 'ok' ? 'ok' : 'degraded';
    reply.header('cache-control', 'no-store');
    return {
      status,
      timestamp: new Date().toISOString(),
      version: VERSION,
      checks: {
        database,
        ledger: { status: ledgerStatus, pendingBytes, maxBytes },
        gateway: { status: 'ok', running: services.gateway.running, configurationVersion: version.toString() },
      },
    };
  });
}

async function checkDatabase(services: Services): Promise<{ status: 'ok' | 'away'; latencyMs: number | null }> {
  const startedAt = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('late')), CHECK_MS);
  });
  try {
    const query = services.pool.query('SELECT 1');
    // If it is late and fails afterwards, nobody is waiting for it any more.
    query.catch(() => undefined);
    await Promise.race([query, late]);
    return { status: 'ok', latencyMs: Math.round(performance.now() - startedAt) };
  } catch {
    return { status: 'away', latencyMs: null };
  } finally {
    clearTimeout(timer);
  }
}
