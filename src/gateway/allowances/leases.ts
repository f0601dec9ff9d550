import type { Pool } from 'pg';
import type { Log } from '../../platform/log.ts';
import type { Picodollars } from '../../platform/money.ts';
import { AllowanceIds } from './allowance-ids.ts';
import { Held, type HoldRequest, type Limited } from './held.ts';
import { Holders } from './holders.ts';
import { inTime } from './in-time.ts';
import type { Lease } from './lease.ts';
import { RULES_CHANGED, renew, writeOffLost } from './lease-statements.ts';
import { Lender } from './lender.ts';
import { type Limit, shortageError } from './limit.ts';
import { Periods } from './period.ts';
import { BudgetRules, readRules } from './rules.ts';
import { costOfWorst, leastCost, tokensWithin } from './worst-case.ts';

const TICK_MS = 1_000;
/** What is idle of a lease is given back after so long without use. */
const IDLE_MS = 5_000;
const FORGET_MS = 60_000;
const WRITE_OFF_EVERY_MS = 60_000;

export interface LeasesParts {
  pool: Pool;
  serverId: string;
  /** Where the periods of budgets begin. */
  timeZone: string;
  /** Resolves when everything that is settled so far is on the ledger. */
  drained: () => Promise<void>;
  log: Log;
}

/**
 * Sets money aside for attempts, so that no hard budget and no credits are ever exceeded, by any number of servers: each
 * leases slices of what is left from Postgres, and holds from these without a query. When they run short, Postgres
 * decides, after what is idle elsewhere has come back.
 */
export class Leases {
  readonly #parts: LeasesParts;
  readonly #periods: Periods;
  readonly #ids: AllowanceIds;
  readonly #lender: Lender;
  readonly #holders: Holders;
  #rules = BudgetRules.NONE;
  #version: bigint | null = null;
  #writtenOffAt = performance.now();
  #ticking: Promise<void> | null = null;
  readonly #timer: NodeJS.Timeout;

  private constructor(parts: LeasesParts) {
    this.#parts = parts;
    this.#periods = new Periods(parts.timeZone);
    this.#ids = new AllowanceIds(parts.pool);
    this.#lender = new Lender(parts);
    this.#holders = new Holders(parts);
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Frees, once the journal is drained, what this server leased before it was stopped. */
  static async open(parts: LeasesParts): Promise<Leases> {
    const leases = new Leases(parts);
    await leases.refresh();
    leases.#holders.freeFormer();
    return leases;
  }

  /**
   * Sets aside the most that an attempt can cost, of every allowance that limits it. Where that is too much, less for
   * fewer tokens.
   * @returns a promise only when Postgres has to be asked
   * @throws BudgetExceededError, InsufficientCreditsError; OverloadedError when it cannot be decided now
   */
  hold(request: HoldRequest): Held | Promise<Held> {
    const { limits } = request;
    const leases = limits.map((limit) => this.#knownLease(limit));
    const amount = costOfWorst(request.worst);
    const now = performance.now();
    const taken: Lease[] = [];
    for (const lease of leases) {
      if (!lease || this.#lender.isExpired(now) || !lease.tryTake(amount, now)) {
        for (const other of taken) other.settle(amount, 0n);
        return this.#ask(request);
      }
      taken.push(lease);
    }
    return this.#held(taken, amount, null);
  }

  /** The hard budgets, and credits, that limit an attempt. */
  limitsOf({ spender, creditsId, at }: Limited): Limit[] {
    const limits = this.#rules
      .of(spender)
      .map((rule): Limit => ({ kind: 'BUDGET', rule, span: this.#periods.at(rule.period, at) }));
    if (creditsId !== null) limits.push({ kind: 'CREDITS', allowanceId: creditsId });
    return limits;
  }

  /** Takes in budgets that were changed, and gives back what is idle of them. */
  async refresh(): Promise<void> {
    const { pool, serverId } = this.#parts;
    const { budgetsVersion } = await renew(pool, serverId, []);
    await this.#takeRules(budgetsVersion);
  }

  /** Somebody needs what is idle of an allowance, or budgets have changed. */
  async notice(payload: string): Promise<void> {
    if (payload === RULES_CHANGED) return this.refresh();
    const [allowanceId = '', askedBy] = payload.split(' ');
    for (const lease of this.#holders.find(allowanceId)) {
      // Who asks others hears it, too.
      if (askedBy !== lease.holderId) await this.#lender.surrender(lease);
    }
  }

  /** Picodollars that are held for attempts which run on this server, over all budgets and credits. */
  get held(): bigint {
    return this.#holders.open;
  }

  /** Gives everything back. The ledger has been drained, and nothing is held any more. */
  async close(): Promise<void> {
    this.#stop();
    await this.#ticking;
    await this.#holders.close();
  }

  /** Ends without giving anything back: the next start does. */
  async abandon(): Promise<void> {
    this.#stop();
    await this.#ticking;
  }

  #stop(): void {
    this.#holders.stop();
    clearInterval(this.#timer);
  }

  #knownLease(limit: Limit): Lease | null {
    if (limit.kind === 'CREDITS') return this.#holders.lease(limit.allowanceId, null);
    const id = this.#ids.known(limit.rule.id, limit.span);
    return id === null ? null : this.#holders.lease(id, limit.rule.id);
  }

  #held(leases: readonly Lease[], amount: Picodollars, outputTokens: number | null): Held {
    return new Held(leases, amount, outputTokens, (lease) => void this.#lender.overrun(lease));
  }

  /** All limits at once; where one has less, the others need not hold more. */
  async #ask(request: HoldRequest): Promise<Held> {
    const { limits } = request;
    const worst = request.lookCloser?.() ?? request.worst;
    const most = costOfWorst(worst);
    const asked = await Promise.allSettled(limits.map((limit) => this.#take(limit, most, leastCost(worst))));
    const taken = asked.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const keep = (amount: bigint) => {
      for (const { lease, amount: got } of taken) lease.settle(got - amount, 0n);
    };
    const refused = asked.find((result) => result.status === 'rejected');
    if (refused) {
      keep(0n);
      throw refused.reason;
    }
    const leases = taken.map(({ lease }) => lease);
    // The former holder's leases and the new one's are never held together.
    if (leases.some(({ holderId }) => holderId !== leases[0]?.holderId)) {
      keep(0n);
      return this.#ask(request);
    }
    const least = taken.reduce((sum, { amount }) => (amount < sum ? amount : sum), most as bigint);
    const outputTokens = tokensWithin(worst, least);
    const exact = costOfWorst(worst, outputTokens);
    keep(exact);
    return this.#held(leases, exact, outputTokens === worst.outputTokens ? null : outputTokens);
  }

  async #take(limit: Limit, most: bigint, least: bigint): Promise<{ lease: Lease; amount: bigint }> {
    const lease = await this.#openLease(limit);
    const amount = await this.#lender.take(lease, most, least);
    if (amount === null) throw shortageError(limit, lease, least);
    return { lease, amount };
  }

  async #openLease(limit: Limit): Promise<Lease> {
    if (limit.kind === 'CREDITS') return this.#holders.lease(limit.allowanceId, null);
    try {
      return this.#holders.lease(await inTime(this.#ids.open(limit.rule.id, limit.span)), limit.rule.id);
    } catch (error) {
      throw this.#lender.unavailable(error);
    }
  }

  #tick(): Promise<void> {
    this.#ticking ??= this.#renew().finally(() => {
      this.#ticking = null;
    });
    return this.#ticking;
  }

  async #renew(): Promise<void> {
    try {
      const began = performance.now();
      const { pool, serverId } = this.#parts;
      const { currentId, ids, isKnown } = this.#holders;
      const { alive, others, recalled, budgetsVersion } = await renew(pool, serverId, ids);
      // Written off: a machine that slept did not see the time pass.
      const isGone = isKnown && !alive.includes(currentId);
      if (this.#lender.isUncertain || isGone) this.#holders.retire();
      this.#lender.isUncertain = false;
      this.#lender.heardAt = began;
      for (const allowanceId of recalled) await this.notice(allowanceId);
      await this.#takeRules(budgetsVersion);
      await this.#tidy();
      if (others) this.#holders.noteFormer();
      this.#holders.freeFormer();
      if (began - this.#writtenOffAt > WRITE_OFF_EVERY_MS) await this.#writeOff(began);
    } catch (error) {
      this.#parts.log.debug({ err: error }, 'the leases could not be renewed');
    }
  }

  async #takeRules(version: bigint): Promise<void> {
    if (this.#version === version) return;
    const rules = (await readRules(this.#parts.pool)).hard();
    // Others read them as well, and may have been faster with later ones.
    if (this.#version !== null && this.#version > version) return;
    const before = this.#rules;
    this.#rules = rules;
    this.#version = version;
    for (const lease of this.#holders.leases) {
      if (lease.budgetId === null) continue;
      const [limit, former] = [this.#rules, before].map((rules) => rules.byId(lease.budgetId as string)?.limit ?? 0n);
      // What is idle must not be spent on the strength of a limit that is no more.
      if (limit !== former) await this.#lender.surrender(lease);
    }
  }

  /** Gives back what lies idle: all of it where nobody asks for it, else what is more than a slice. */
  async #tidy(): Promise<void> {
    const now = performance.now();
    for (const lease of this.#holders.leases) {
      lease.fade();
      if (lease.isAsking) continue;
      const isUsed = now - lease.usedAt < IDLE_MS;
      const kept = isUsed && !lease.isRecalled ? sliceOf(lease) : 0n;
      if (lease.free > kept) await this.#lender.giveBack(lease, lease.free - kept);
      const isIdle = lease.free === 0n && lease.open === 0n && !lease.isAsking;
      if (isIdle && now - lease.usedAt > FORGET_MS) this.#holders.forget(lease);
    }
  }

  async #writeOff(now: number): Promise<void> {
    this.#writtenOffAt = now;
    for (const { serverId, allowanceId, amount } of await writeOffLost(this.#parts.pool))
      this.#parts.log.warn({ serverId, allowanceId, amount }, 'the lease of a server that is gone was written off');
  }
}

/** What may lie idle of an allowance for what comes next. */
function sliceOf({ demand, standing }: Lease): bigint {
  const most = (standing?.limit ?? 0n) / 400n;
  return demand < most ? demand : most;
}
