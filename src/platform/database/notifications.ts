import pg from 'pg';
import type { DatabaseConnection } from './connection.ts';

/** A subscription to NOTIFY channels. */
export interface Listener {
  close(): Promise<void>;
}

const HEARTBEAT_MS = 30_000;
const LONGEST_BACKOFF_MS = 5_000;

/**
 * Listens on `channels` with a connection of its own, which is made again, with jittered backoff, whenever it is lost.
 * Resolves after the first try to connect; when that fails, trying goes on.
 * @param onReconnect called each time that listening has begun, the first time too: what was sent before is lost, so
 *   whoever keeps a copy reads what is new
 */
export async function listen(
  connection: DatabaseConnection,
  channels: readonly string[],
  onNotify: (channel: string, payload: string) => void,
  onReconnect: () => void,
): Promise<Listener> {
  let client: pg.Client | null = null;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let backoffMs = 100;

  const connect = async () => {
    const candidate = new pg.Client({
      ...connection,
      application_name: 'signalbox listen',
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    let isLost = false;
    const lose = () => {
      if (isLost) return;
      isLost = true;
      clearTimeout(timer);
      candidate.end().catch(() => undefined);
      if (isClosed) return;
      timer = setTimeout(connect, backoffMs * (0.5 + Math.random()));
      backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS);
    };
    // A network that is cut says nothing: ask now and then.
    const beat = () => {
      timer = setTimeout(() => candidate.query('SELECT 1').then(beat, lose), HEARTBEAT_MS);
      timer.unref();
    };
    client = candidate;
    candidate.on('error', lose);
    candidate.on('end', lose);
    candidate.on('notification', ({ channel, payload }) => onNotify(channel, payload ?? ''));
    try {
      await candidate.connect();
      for (const channel of channels) await candidate.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    } catch {
      return lose();
    }
    if (isClosed || isLost) return;
    backoffMs = 100;
    beat();
    onReconnect();
  };
  await connect();

  return {
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await client?.end().catch(() => undefined);
    },
  };
}
