import type { DialectName } from '../dialect.ts';
import type { Client, Outcome } from './client.ts';

/** Counts of requests for answers and embeddings, of all dialects, since the start; `requests` is the sum of the others. */
export interface SandboxStats {
  requests: number;
  /** Not answered to the end yet. */
  active: number;
  completed: number;
  /** The client left before the end. */
  aborted: number;
  /** Ended by a fault that was asked for. */
  faulted: number;
  /** Answered with a 4xx, because the request was wrong. */
  refused: number;
}

/** A request for an answer or an embedding, without what was said. */
export interface RequestRecord {
  dialect: DialectName;
  /** The first 8 hex digits of its key's SHA-256; null for a request without a key. */
  keyHint: string | null;
  /** Id of the answer; null for embeddings, and when the request was refused or is not read yet. */
  id: string | null;
  /** As it was asked for, with the controls behind its name. */
  model: string | null;
  startedAt: Date;
  finishedAt: Date | null;
  outcome: Outcome | 'active';
}

/** Some megabytes at most: a test counts the requests of a minute. */
export const RECORDS_KEPT = 20_000;
const RECORDS_TOLD = 100;

/** What the sandbox was asked, so that a test can see what reached it and how that ended. */
export class Activity {
  private readonly counts: SandboxStats = { requests: 0, active: 0, completed: 0, aborted: 0, faulted: 0, refused: 0 };
  private readonly records: RequestRecord[] = [];

  /** Notes a request and, when its client's connection is done with it, how it ended. */
  begin(client: Client, dialect: DialectName, keyHint: string | null): RequestRecord {
    const record: RequestRecord = {
      dialect,
      keyHint,
      id: null,
      model: null,
      startedAt: new Date(),
      finishedAt: null,
      outcome: 'active',
    };
    this.records[this.counts.requests % RECORDS_KEPT] = record;
    this.counts.requests++;
    this.counts.active++;
    client.onEnd((outcome) => {
      record.finishedAt = new Date();
      record.outcome = outcome;
      this.counts.active--;
      this.counts[outcome]++;
    });
    return record;
  }

  stats(): SandboxStats {
    return { ...this.counts };
  }

  /** The last requests, newest first; at most `RECORDS_KEPT` are known. */
  requests(most = RECORDS_TOLD): RequestRecord[] {
    const next = this.counts.requests % RECORDS_KEPT;
    const oldestFirst = [...this.records.slice(next), ...this.records.slice(0, next)];
    return oldestFirst
      .slice(-most)
      .reverse()
      .map((record) => ({ ...record }));
  }
}
