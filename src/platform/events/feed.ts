import type { Pool } from 'pg';
import type { PrismaClient } from '../../generated/prisma/client.ts';
import type { Log } from '../log.ts';
import { Hub, type Queueing } from './hub.ts';

export type EventTopic = 'CONFIGURATION' | 'PROVIDER_HEALTH' | 'BUDGETS' | 'RESPONSE_CACHE';

/** Something that happened, on whichever server. */
export interface FeedEvent {
  /** Position in the order that all servers share; no gaps. */
  seq: bigint;
  topic: EventTopic;
  payload: unknown;
  at: Date;
}

/** The channel that tells the latest `seq`. */
export const EVENTS_CHANNEL = 'signalbox_events';

/** How often the table is read in case a notification was lost. */
const POLL_MS = 1_000;
const PRUNE_MS = 3_600_000;
const PAGE = 500;

/**
 * Puts an event into the shared order. It is the last statement of a transaction: from here to its commit everybody else
 * who publishes waits, and that is what makes `seq` the order of commits.
 */
export async function publishEvent(
  tx: Pick<PrismaClient, '$executeRaw'>,
  topic: EventTopic,
  payload: object,
): Promise<void> {
  await tx.$executeRaw`
    WITH head AS (UPDATE event_head SET seq = seq + 1 WHERE id = 1 RETURNING seq),
         event AS (INSERT INTO events (seq, topic, payload)
                   SELECT seq, ${topic}::"EventTopic", ${JSON.stringify(payload)}::jsonb FROM head RETURNING seq)
    SELECT pg_notify(${EVENTS_CHANNEL}, seq::text) FROM event`;
}

/** The events of all servers over one Postgres, in one order for every subscriber of every server. */
export class EventFeed {
  readonly #pool: Pool;
  readonly #log: Log;
  readonly #hubs: Record<EventTopic, Hub<FeedEvent>> = {
    CONFIGURATION: new Hub(),
    PROVIDER_HEALTH: new Hub(),
    BUDGETS: new Hub(),
    RESPONSE_CACHE: new Hub(),
  };
  readonly #timers: NodeJS.Timeout[];
  #seq: bigint;
  #reading: Promise<void> | null = null;
  #isStale = false;

  private constructor(pool: Pool, log: Log, seq: bigint) {
    this.#pool = pool;
    this.#log = log;
    this.#seq = seq;
    const warn = (error: unknown) => log.warn({ err: error }, 'the live events could not be read; trying again');
    this.#timers = [
      setInterval(() => void this.refresh().catch(warn), POLL_MS),
      setInterval(() => void this.#prune().catch(warn), PRUNE_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** Begins behind what has happened so far. */
  static async open(pool: Pool, log: Log): Promise<EventFeed> {
    const { rows } = await pool.query<{ seq: string }>('SELECT seq::text FROM event_head WHERE id = 1');
    return new EventFeed(pool, log, BigInt(rows[0]?.seq ?? 0));
  }

  /** Events of a topic from now on. Every subscriber has its own queue; whoever may not see an event must not be shown it. */
  subscribe(topic: EventTopic, queueing: Queueing, signal: AbortSignal): AsyncIterableIterator<FeedEvent> {
    return this.#hubs[topic].subscribe(queueing, signal);
  }

  /** How many follow a topic on this server. */
  subscribers(topic: EventTopic): number {
    return this.#hubs[topic].size;
  }

  /**
   * Reads what is new and passes it on; calls made meanwhile share one more reading, which starts after them.
   * @throws when Postgres cannot be read; nothing is lost, the next reading begins at the same place.
   */
  refresh(): Promise<void> {
    this.#isStale = true;
    this.#reading ??= this.#read();
    return this.#reading;
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #read(): Promise<void> {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        if ((await this.#readPage()) === PAGE) this.#isStale = true;
      }
    } finally {
      this.#reading = null;
    }
  }

  async #readPage(): Promise<number> {
    const { rows } = await this.#pool.query<{ seq: string; topic: EventTopic; payload: unknown; created_at: Date }>(
      // Ordering by plain `seq` would be ordering by the text it is selected as.
      `SELECT seq::text, topic::text, payload, created_at FROM events WHERE seq > $1 ORDER BY events.seq LIMIT ${PAGE}`,
      [this.#seq.toString()],
    );
    for (const { seq, topic, payload, created_at } of rows) {
      this.#seq = BigInt(seq);
      // A newer server may have topics that this one does not know.
      if (Object.hasOwn(this.#hubs, topic))
        this.#hubs[topic].publish({ seq: this.#seq, topic, payload, at: created_at });
    }
    return rows.length;
  }

  async #prune(): Promise<void> {
    const { rowCount } = await this.#pool.query("DELETE FROM events WHERE created_at < now() - interval '1 day'");
    this.#log.debug({ events: rowCount }, 'old events were removed');
  }
}
