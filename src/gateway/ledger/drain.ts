import pg from 'pg';
import { SpendingPoster } from '../allowances/post-spending.ts';
import type { RoutingFact } from '../routing/decision.ts';
import { decodeEntry } from './decode.ts';
import { JournalReader } from './journal-reader.ts';
import { OpenCompletions } from './open-completions.ts';
import { type Batch, postBatch, readState } from './post.ts';
import type { PriceVersion } from './prices.ts';
import {
  comparePositions,
  deleteSegmentsBefore,
  type JournalIdentity,
  listSegments,
  type Position,
} from './segments.ts';
import { SeriesIds } from './series.ts';

const BATCH_RECORDS = 2000;
/** A small transaction costs Postgres nearly what a large one does, so after a batch that was not full others collect. */
const COLLECT_MS = 50;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5000;

/** How far the drain is. */
export interface DrainProgress {
  /** The latest `seq` of the ledger. */
  seq: bigint;
  /** Everything before it is committed. */
  drained: Position;
}

export interface DrainOptions {
  directory: string;
  identity: JournalIdentity;
  connection: pg.ClientConfig;
  /** Where the periods of budgets begin. */
  timeZone: string;
  /** The journal's end; nothing behind it is read. */
  end: Position;
  onProgress: (progress: DrainProgress) => void;
  /** The drain has failed and will try again. */
  onError: (message: string) => void;
}

/**
 * Moves the journal into Postgres, batch after batch, for ever. After any failure it begins again at the position that
 * Postgres holds: whatever was committed without being confirmed is met again, and changes nothing.
 */
export class Drain {
  readonly #options: DrainOptions;
  #end: Position;
  #isStopped = false;
  #failures = 0;
  #wake: (() => void) | null = null;
  /** Whether the pause is for a time, which growth does not shorten. */
  #isTimed = false;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#end = options.end;
  }

  /** The journal has grown. */
  extend(end: Position): void {
    this.#end = end;
    if (!this.#isTimed) this.#wake?.();
  }

  /** `run` returns after the batch that it is writing. */
  stop(): void {
    this.#isStopped = true;
    this.#wake?.();
  }

  /** Returns only after `stop`. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#connected();
      } catch (error) {
        this.#failures += 1;
        this.#options.onError(error instanceof Error ? error.message : String(error));
        await this.#pause(retryDelay(this.#failures));
      }
    }
  }

  async #connected(): Promise<void> {
    const client = new pg.Client({
      ...this.#options.connection,
      application_name: 'signalbox drain',
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
      query_timeout: 60_000,
      statement_timeout: 50_000,
      // A transaction that lost its server must not go on holding the ledger's head.
      idle_in_transaction_session_timeout: 15_000,
    });
    // A connection that breaks while it is idle is noticed by the next query.
    client.on('error', () => {});
    try {
      await client.connect();
      await this.#drain(client);
    } finally {
      await client.end().catch(() => {});
    }
  }

  async #drain(client: pg.Client): Promise<void> {
    const { directory, identity, timeZone, onProgress } = this.#options;
    const state = await readState(client, identity.serverId);
    const start = state.position ?? { segment: listSegments(directory)[0] ?? this.#end.segment, offset: 0 };
    const reader = new JournalReader(directory, identity, start);
    const open = new OpenCompletions();
    const totals = { series: new SeriesIds(), spending: new SpendingPoster(timeZone) };
    /** Read, and not posted yet. */
    const prices = new Map<string, PriceVersion>();
    let { seq } = state;
    let isReported = false;
    const read = () => readBatch(reader, this.#end, open, prices);
    let ahead: (() => ReadBatch) | null = null;
    try {
      while (!this.#isStopped) {
        const batch: ReadBatch = (ahead ?? read)();
        ahead = null;
        if (hasEntries(batch)) {
          seq = await postBatch(client, identity.serverId, totals, batch, () => {
            if (batch.records >= BATCH_RECORDS) ahead = triedNow(read);
          });
          deleteSegmentsBefore(directory, batch.position);
        }
        this.#failures = 0;
        const hasRead = comparePositions(batch.start, batch.end) !== 0;
        if (hasRead || !isReported) onProgress({ seq, drained: batch.end });
        isReported = true;
        if (!hasRead) await this.#pause();
        else if (batch.records < BATCH_RECORDS) await this.#pause(COLLECT_MS);
      }
    } finally {
      reader.close();
    }
  }

  /** For a time, or else until the journal grows; in either case not longer than until `stop`. */
  #pause(ms?: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    this.#isTimed = ms !== undefined;
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}

interface ReadBatch extends Batch {
  records: number;
  start: Position;
  /** Where the records after it begin. */
  end: Position;
}

/** @param prices takes what it meets, so that it stays where a batch has nothing to post. */
function readBatch(
  reader: JournalReader,
  end: Position,
  open: OpenCompletions,
  prices: Map<string, PriceVersion>,
): ReadBatch {
  const start = reader.position;
  let records = 0;
  const attempts: Batch['attempts'] = [];
  const completions = new Map<string, Batch['completions'][number]>();
  const facts = new Map<string, RoutingFact>();
  for (const { payload, position } of reader.read(end, BATCH_RECORDS)) {
    records += 1;
    const entry = decodeEntry(payload);
    if (entry.kind === 'PRICE') {
      prices.set(entry.price.id, entry.price);
      continue;
    }
    if (entry.kind === 'FACT') {
      facts.set(entry.fact.id, entry.fact);
      continue;
    }
    const settled = open.apply(entry, position);
    if (settled.attempt) attempts.push(settled.attempt);
    const id = settled.completion?.origin.completionId;
    if (settled.completion && id !== undefined && !completions.has(id)) completions.set(id, settled.completion);
  }
  const batch = {
    attempts,
    completions: [...completions.values()],
    prices: [...prices.values()],
    facts: [...facts.values()],
    position: open.oldest() ?? reader.position,
    records,
    start,
    end: reader.position,
  };
  if (hasEntries(batch)) prices.clear();
  return batch;
}

/** Facts may be large, so that they do not wait for the rows that name them. */
function hasEntries({ attempts, completions, facts }: Batch): boolean {
  return attempts.length > 0 || completions.length > 0 || facts.length > 0;
}

/** Does it now, and says later what came of it, be it an error. */
function triedNow<T>(work: () => T): () => T {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** Doubles up to five seconds; the jitter keeps servers from coming back in step. */
function retryDelay(failures: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS) * (0.5 + Math.random() / 2);
}
