import type { LeaseName, Standing } from './lease-statements.ts';

/** Who waits for money: for all of `amount`, or, once it is sure that there is no more, for `least` of it at least. */
export interface Waiter {
  amount: bigint;
  least: bigint;
  /** @param taken null: there is too little */
  decide(taken: bigint | null): void;
  fail(error: Error): void;
  /** Waits no more: it has been told that nobody knows. */
  isGone: boolean;
}

/**
 * What this process has of one allowance: a part is free, the rest is held for attempts, or spent without being on the
 * ledger yet. Picodollars.
 */
export class Lease implements LeaseName {
  readonly allowanceId: string;
  readonly holderId: string;
  /** The budget whose period it is; null: it is of credits. */
  readonly budgetId: string | null;
  /** May be held at once. */
  free = 0n;
  /** Held for attempts that run. */
  open = 0n;
  /** Nobody may take from it past those who wait. */
  waiters: Waiter[] = [];
  isAsking = false;
  /** Others need it, or the limit has changed: what comes back is not held again before Postgres says so. */
  isRecalled = false;
  /** Postgres has leased something to it. */
  isGranted = false;
  /** As Postgres told it last. */
  standing: Standing | null = null;
  /** Milliseconds of the monotonic clock. */
  usedAt = 0;
  /** What was taken of late; fades by half with each `fade`. */
  demand = 0n;

  constructor({ allowanceId, holderId }: LeaseName, budgetId: string | null) {
    this.allowanceId = allowanceId;
    this.holderId = holderId;
    this.budgetId = budgetId;
  }

  /** Holds an amount if it is free and nobody waits. */
  tryTake(amount: bigint, now: number): boolean {
    if (this.isAsking || this.isRecalled || this.free < amount) return false;
    this.take(amount, now);
    return true;
  }

  take(amount: bigint, now: number): void {
    this.free -= amount;
    this.open += amount;
    this.demand += amount;
    this.usedAt = now;
  }

  /** What was held is spent, or comes back, or both. */
  settle(amount: bigint, spent: bigint): void {
    this.open -= amount;
    this.free += amount - spent;
  }

  fade(): void {
    this.demand /= 2n;
  }

  /** Gives those who can have all they want what they want, in their order; the others stay. */
  serve(waiters: readonly Waiter[], now: number): Waiter[] {
    return waiters.filter((waiter) => {
      if (waiter.isGone) return false;
      if (this.free < waiter.amount) return true;
      this.take(waiter.amount, now);
      waiter.decide(waiter.amount);
      return false;
    });
  }

  /** There is no more than what is free: it goes to those for whom that is enough; the others get nothing. */
  finish(waiters: readonly Waiter[], now: number): void {
    for (const waiter of waiters) {
      if (waiter.isGone) continue;
      const taken = this.free < waiter.amount ? this.free : waiter.amount;
      if (taken < waiter.least) {
        waiter.decide(null);
        continue;
      }
      this.take(taken, now);
      waiter.decide(taken);
    }
  }
}
