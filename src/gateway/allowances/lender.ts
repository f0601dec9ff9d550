import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { OverloadedError, type SignalboxError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { inTime } from './in-time.ts';
import type { Lease } from './lease.ts';
import { giveBack, grant, recall } from './lease-statements.ts';

/** How long others may take to give back what is idle of theirs. */
const RECALL_MS = 2_000;
const RECALL_POLL_MS = 10;
/** Without a sign of Postgres for so long, what is leased is spent no more: after 20 minutes it is written off. */
const EXPIRY_MS = 10 * 60_000;

export interface LenderParts {
  pool: Pool;
  serverId: string;
  log: Log;
}

/** Moves money between Postgres and the leases of this process. */
export class Lender {
  readonly #parts: LenderParts;
  /** Postgres may have leased something that this process does not know of. */
  isUncertain = false;
  /** When Postgres was heard of last, by the monotonic clock. */
  heardAt = performance.now();

  constructor(parts: LenderParts) {
    this.#parts = parts;
  }

  /** @returns what is held now; null: there is too little */
  take(lease: Lease, amount: bigint, least: bigint): Promise<bigint | null> {
    const decided = new Promise<bigint | null>((resolve, reject) => {
      lease.waiters.push({ amount, least, decide: resolve, fail: reject, isGone: false });
    });
    if (!lease.isAsking) void this.#decideAll(lease);
    return decided;
  }

  /** Decides about those who wait in rounds: all who came during one are decided together in the next. */
  async #decideAll(lease: Lease): Promise<void> {
    lease.isAsking = true;
    while (lease.waiters.length > 0) {
      const waiters = lease.waiters.splice(0);
      try {
        await inTime(this.#decide(lease, waiters));
      } catch (error) {
        this.isUncertain = true;
        const reason = this.unavailable(error);
        for (const waiter of waiters) {
          waiter.isGone = true;
          waiter.fail(reason);
        }
      }
    }
    lease.isAsking = false;
  }

  /** A refusal comes only after everybody else has given back what is idle of theirs. */
  async #decide(lease: Lease, waiters: Lease['waiters']): Promise<void> {
    const now = performance.now();
    if (this.isExpired(now)) throw new Error('Postgres has not been heard of for 10 minutes.');
    if (lease.isRecalled) await this.giveBack(lease, lease.free);
    lease.isRecalled = false;
    let left = lease.serve(waiters, now);
    if (left.length === 0) return;
    await this.#grant(lease, left);
    left = lease.serve(left, now);
    if (left.length > 0 && lease.standing && (await recall(this.#parts.pool, lease)) > 0)
      left = await this.#awaitRecalled(lease, left);
    lease.finish(left, now);
    // Where money is short, none lies idle.
    if (left.length > 0) await this.giveBack(lease, lease.free);
  }

  async #awaitRecalled(lease: Lease, waiters: Lease['waiters']): Promise<Lease['waiters']> {
    const deadline = performance.now() + RECALL_MS;
    for (let left = waiters; ; ) {
      await sleep(RECALL_POLL_MS);
      const waiting = await this.#grant(lease, left);
      left = lease.serve(left, performance.now());
      if (left.length === 0 || waiting === 0 || performance.now() > deadline) return left;
    }
  }

  /** @returns how many others have not answered a recall */
  async #grant(lease: Lease, waiters: Lease['waiters']): Promise<number> {
    const wanted = waiters.reduce((sum, { amount }) => sum + amount, -lease.free);
    if (wanted <= 0n) return 0;
    const { pool, serverId } = this.#parts;
    const granted = await grant(
      pool,
      { allowanceId: lease.allowanceId, holderId: lease.holderId, serverId },
      wanted,
      lease.demand,
    );
    lease.standing = granted && { limit: granted.limit, settled: granted.settled, leased: granted.leased };
    lease.free += granted?.amount ?? 0n;
    lease.isGranted ||= lease.free > 0n;
    return granted?.waiting ?? 0;
  }

  /** Gives back what is idle now, and what comes back as well. */
  async surrender(lease: Lease): Promise<void> {
    lease.isRecalled = true;
    await this.giveBack(lease, lease.free);
  }

  /** What is idle is no longer free before Postgres is told: should that fail, nobody spends it. */
  async giveBack(lease: Lease, amount: bigint): Promise<void> {
    if (amount === 0n && !lease.isRecalled) return;
    lease.free -= amount;
    // Whoever is refused now is told what is held, not what was idle.
    if (lease.standing) lease.standing = { ...lease.standing, leased: lease.standing.leased - amount };
    try {
      await giveBack(this.#parts.pool, lease, amount);
    } catch (error) {
      this.isUncertain = true;
      this.#parts.log.debug({ err: error }, 'what is idle of a budget could not be given back yet');
    }
  }

  /** More was spent than was held: nobody may go on with what is idle, before Postgres knows how much is left. */
  async overrun(lease: Lease): Promise<void> {
    this.#parts.log.warn({ allowanceId: lease.allowanceId }, 'a call cost more than the most that was expected');
    await this.surrender(lease);
    await recall(this.#parts.pool, lease).catch((error) => this.#parts.log.debug({ err: error }, 'not recalled'));
  }

  /** Whether what is leased may be written off soon. */
  isExpired(now: number): boolean {
    return now - this.heardAt > EXPIRY_MS;
  }

  /** What to tell whoever needs Postgres while it is away. */
  unavailable(error: unknown): SignalboxError {
    this.#parts.log.warn({ err: error }, 'what is left of a budget could not be asked');
    return new OverloadedError(
      'The database is away, and without it nobody knows what is left of a hard budget or of credits. Try again shortly.',
    );
  }
}
