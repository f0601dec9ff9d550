import type { Pool } from 'pg';
import { setNewest } from '../../platform/bounded-map.ts';
import { isDatabaseAway } from '../../platform/database/away.ts';
import { ConflictError, OverloadedError, SignalboxError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { KeyName } from './caller-key.ts';

/** The client's own limit; the server's, of the pool, comes first where Postgres still answers. */
const QUERY_MS = 3_000;
/** A claim that was made between two readings of one statement is seen by the next one. */
const MOST_TRIES = 3;
const MOST_UNUSED = 10_000;
/** Of one name; more tries in a row that Postgres does not answer are unlikely. */
const MOST_REMEMBERED = 10;
/** Expired rows that one statement deletes. */
const BATCH = 1_000;

/** A caller's name for a request, and what it stands for. */
export interface Claim extends KeyName {
  /** SHA-256 (hex) of the input. */
  fingerprint: string;
  /** The ledger's id of the completion. */
  completionId: string;
}

interface ClaimRow {
  is_own: boolean;
  fingerprint: string;
  completion_id: string;
  server_id: string;
}

/** Who made which request under a name of their own, in Postgres: over all servers one completion has it, for 24 hours. */
export class Claims {
  readonly #pool: Pick<Pool, 'query'>;
  readonly #serverId: string;
  readonly #log: Log;
  /** Completions that never began, but may have a claim: Postgres did not say, or could not be told. By name. */
  readonly #unused = new Map<string, readonly string[]>();

  constructor(pool: Pick<Pool, 'query'>, serverId: string, log: Log) {
    this.#pool = pool;
    this.#serverId = serverId;
    this.#log = log;
  }

  /**
   * Claims the name, in one statement.
   * @throws ConflictError when another completion has it; OverloadedError when Postgres cannot say
   */
  async take(claim: Claim): Promise<void> {
    const { caller, key, fingerprint, completionId } = claim;
    const name = `${caller} ${key}`;
    const unused = this.#unused.get(name) ?? [];
    try {
      const values = [caller, key, fingerprint, completionId, this.#serverId, unused];
      for (let tries = 0; tries < MOST_TRIES; tries += 1) {
        const [row] = await this.#query(TAKE, values);
        if (row?.is_own) this.#unused.delete(name);
        if (row?.is_own) return;
        if (row) throw this.#conflict(claim, row);
      }
      throw new OverloadedError('Others are making requests under this request id right now. Try again shortly.', 1);
    } catch (error) {
      if (error instanceof SignalboxError) throw error;
      // It may have been claimed all the same.
      setNewest(this.#unused, name, [...unused.slice(1 - MOST_REMEMBERED), completionId], MOST_UNUSED);
      throw this.#unavailable(error);
    }
  }

  /**
   * Why a client cannot go on with a completion that is not here.
   * @throws OverloadedError when Postgres cannot say
   */
  async whyNotHere(claim: Omit<Claim, 'completionId'>): Promise<ConflictError> {
    try {
      const [row] = await this.#query(FIND, [claim.caller, claim.key]);
      return row ? this.#conflict(claim, row) : new ConflictError(NOTHING);
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  /** The completion ended before anything was sent for it: its name is free again. */
  async release({ caller, key, completionId }: Claim): Promise<void> {
    try {
      await this.#query(RELEASE, [caller, key, completionId]);
    } catch (error) {
      this.#log.warn({ err: error }, 'the claim of a request that was refused is not deleted yet');
      setNewest(this.#unused, `${caller} ${key}`, [completionId], MOST_UNUSED);
    }
  }

  async #query(text: string, values: readonly unknown[]): Promise<ClaimRow[]> {
    const query = { text, values: [...values], query_timeout: QUERY_MS };
    return (await this.#pool.query<ClaimRow>(query)).rows;
  }

  #conflict({ fingerprint }: Pick<Claim, 'fingerprint'>, row: ClaimRow): ConflictError {
    if (row.fingerprint !== fingerprint) return differentInput(row.completion_id);
    const where =
      row.server_id === this.#serverId
        ? 'Its answer is not here any more: answers are kept for 10 minutes, while the server runs and has the memory.'
        : 'Another server has its answer, while it runs and for 10 minutes after.';
    return new ConflictError(
      `A request was made under this request id before. ${where} To make it again, send it under a new id.`,
      row.completion_id,
    );
  }

  #unavailable(error: unknown): unknown {
    if (!isDatabaseAway(error)) return error;
    this.#log.warn({ err: error }, 'a request id could not be claimed');
    return new OverloadedError(
      'The database, which knows the request ids that were used, cannot be reached. Try again shortly, or send the request without a request id (Idempotency-Key).',
    );
  }
}

export function differentInput(completionId: string): ConflictError {
  return new ConflictError(
    'This request id was used for a request with other input. Send the same input, or a new id.',
    completionId,
  );
}

/** Deletes the claims whose time is over, some at a time. @param signal ends it after those that are being deleted */
export async function forgetClaims(pool: Pick<Pool, 'query'>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { rowCount } = await pool.query(FORGET, [BATCH]);
    if ((rowCount ?? 0) < BATCH) return;
  }
}

const NOTHING = 'There is nothing under this request id to go on with. To begin it, leave out resumeFrom.';

/** No row at all: another claim was made meanwhile, which this statement cannot see. */
const TAKE = `
  WITH taken AS (
    INSERT INTO claims (caller, key, fingerprint, completion_id, server_id, expires_at)
    VALUES ($1, $2, $3, $4::uuid, $5, now() + interval '24 hours')
    ON CONFLICT (caller, key) DO UPDATE
       SET fingerprint = excluded.fingerprint, completion_id = excluded.completion_id, server_id = excluded.server_id,
           created_at = now(), expires_at = excluded.expires_at
     WHERE claims.expires_at <= now() OR claims.completion_id = ANY ($6::uuid[])
    RETURNING fingerprint, completion_id, server_id)
  SELECT true AS is_own, fingerprint, completion_id, server_id FROM taken
   UNION ALL
  SELECT false, fingerprint, completion_id, server_id FROM claims
   WHERE caller = $1 AND key = $2 AND NOT EXISTS (SELECT 1 FROM taken)`;

const FIND = `
  SELECT false AS is_own, fingerprint, completion_id, server_id FROM claims
   WHERE caller = $1 AND key = $2 AND expires_at > now()`;

const RELEASE = 'DELETE FROM claims WHERE caller = $1 AND key = $2 AND completion_id = $3::uuid';

const FORGET = `
  DELETE FROM claims WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM claims WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`;
