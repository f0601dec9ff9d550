import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { OverloadedError, type SignalboxError } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import type { Log } from '../../platform/log.ts';
import type { Picodollars } from '../../platform/money.ts';
import { AllowanceIds } from './allowance-ids.ts';
import { Held, type HoldRequest, type Limited } from './held.ts';
import { Lease } from './lease.ts';
import {
  formerHolders,
  giveBack,
  grant,
  RULES_CHANGED,
  recall,
  releaseHolders,
  renew,
  writeOffLost,
} from './lease-statements.ts';
import { type Limit, shortageError } from './limit.ts';
import { Periods } from './period.ts';
import { BudgetRules, readRules } from './rules.ts';
import { bounded, costOfWorst, leastCost, tokensWithin } from './worst-case.ts';

const TICK_MS = 1_000;
/** What is idle of a lease is given back after so long without use. */
const IDLE_MS = 5_000;
const FORGET_MS = 60_000;
/** How long others may take to give back what is idle of theirs. */
const RECALL_MS = 1_000;
const RECALL_POLL_MS = 10;
/** How long somebody waits for Postgres before they are refused. */
const PATIENCE_MS = 5_000;
/** Without a sign of Postgres for so long, what is leased is spent no more: after 20 minutes it is written off. */
const EXPIRY_MS = 10 * 60_000;
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

/** One run of this process as those who lease know it. After a statement whose outcome is unknown another one begins. */
interface Holder {
  id: string;
  /** Postgres has leased it something, and so knows it. */
  isKnown: boolean;
  /** By allowance. */
  leases: Map<string, Lease>;
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
  #rules = BudgetRules.NONE;
  #version: bigint | null = null;
  #holder = newHolder();
  /** Former ones, whose holds still run or are not on the ledger yet. */
  #retired: Holder[] = [];
  /** Postgres may have leased something to the holder that it does not know of. */
  #isUncertain = false;
  /** Earlier processes of this server, or statements that were given up, may have left leases that nobody spends. */
  #hasFormer = true;
  #isFreeing = false;
  #renewedAt = performance.now();
  #writtenOffAt = performance.now();
  #ticking: Promise<void> | null = null;
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;

  private constructor(parts: LeasesParts) {
    this.#parts = parts;
    this.#periods = new Periods(parts.timeZone);
    this.#ids = new AllowanceIds(parts.pool);
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Frees, once the journal is drained, what this server leased before it was stopped. */
  static async open(parts: LeasesParts): Promise<Leases> {
    const leases = new Leases(parts);
    await leases.refresh();
    leases.#freeFormer();
    return leases;
  }

  /**
   * Sets aside the most that an attempt can cost, of every allowance that limits it. Where that is too much, less for
   * fewer tokens.
   * @returns null: nothing limits it. A promise only when Postgres has to be asked.
   * @throws BudgetExceededError, InsufficientCreditsError; OverloadedError when it cannot be decided now
   */
  hold(request: HoldRequest): Held | null | Promise<Held | null> {
    const limits = this.#limitsOf(request);
    if (limits.length === 0) return null;
    const leases = limits.map((limit) => this.#knownLease(limit));
    const worst = bounded(request.worst);
    const amount = costOfWorst(worst);
    const now = performance.now();
    const taken: Lease[] = [];
    for (const lease of leases) {
      if (!lease || this.#isExpired(now) || !lease.tryTake(amount, now)) {
        for (const other of taken) other.settle(amount, 0n);
        return this.#ask(limits, request);
      }
      taken.push(lease);
    }
    return this.#held(taken, amount, request.worst.outputTokens === null ? worst.outputTokens : null);
  }

  /** Whether a hard budget, or credits, limit such an attempt. */
  isLimited(request: Limited): boolean {
    return this.#limitsOf(request).length > 0;
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
    const lease = this.#holder.leases.get(allowanceId);
    // Who asks others hears it, too.
    if (lease && askedBy !== this.#holder.id) await this.#surrender(lease);
  }

  /** Picodollars that are held for attempts on this server. */
  get open(): bigint {
    return [this.#holder, ...this.#retired]
      .flatMap(({ leases }) => [...leases.values()])
      .reduce((sum, { open }) => sum + open, 0n);
  }

  /** Gives everything back. The ledger has been drained, and nothing is held any more. */
  async close(): Promise<void> {
    this.#stop();
    await this.#ticking;
    const { pool, serverId } = this.#parts;
    await releaseHolders(pool, await formerHolders(pool, serverId, []));
  }

  /** Ends without giving anything back: the next start does. */
  async abandon(): Promise<void> {
    this.#stop();
    await this.#ticking;
  }

  #stop(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }

  #limitsOf({ spender, creditsId, at }: Limited): Limit[] {
    const limits = this.#rules
      .of(spender)
      .map((rule): Limit => ({ kind: 'BUDGET', rule, span: this.#periods.at(rule.period, at) }));
    if (creditsId !== null) limits.push({ kind: 'CREDITS', allowanceId: creditsId });
    return limits;
  }

  #knownLease(limit: Limit): Lease | null {
    if (limit.kind === 'CREDITS') return this.#lease(limit.allowanceId, null);
    const id = this.#ids.known(limit.rule.id, limit.span);
    return id === null ? null : this.#lease(id, limit.rule.id);
  }

  #lease(allowanceId: string, budgetId: string | null): Lease {
    const { id: holderId, leases } = this.#holder;
    const known = leases.get(allowanceId);
    if (known) return known;
    const lease = new Lease({ allowanceId, holderId }, budgetId);
    leases.set(allowanceId, lease);
    return lease;
  }

  #held(leases: readonly Lease[], amount: Picodollars, outputTokens: number | null): Held {
    return new Held(leases, amount, outputTokens, (lease) => void this.#overrun(lease));
  }

  /** One limit after the other; where one has less, the others need not hold more. */
  async #ask(limits: readonly Limit[], request: HoldRequest): Promise<Held> {
    const wanted = request.lookCloser?.() ?? request.worst;
    const worst = bounded(wanted);
    const least = leastCost(worst);
    const taken: Lease[] = [];
    let amount: bigint = costOfWorst(worst);
    try {
      for (const limit of limits) {
        const lease = await this.#openLease(limit);
        const got = await this.#take(lease, amount, least);
        if (got === null) throw shortageError(limit, lease, least);
        for (const other of taken) other.settle(amount - got, 0n);
        taken.push(lease);
        amount = got;
      }
    } catch (error) {
      for (const lease of taken) lease.settle(amount, 0n);
      throw error;
    }
    const outputTokens = tokensWithin(worst, amount);
    const exact = costOfWorst(worst, outputTokens);
    for (const lease of taken) lease.settle(amount - exact, 0n);
    // The former holder's leases and the new one's are never held together.
    if (taken.some(({ holderId }) => holderId !== taken[0]?.holderId)) {
      for (const lease of taken) lease.settle(exact, 0n);
      return this.#ask(limits, request);
    }
    return this.#held(taken, exact, outputTokens === wanted.outputTokens ? null : outputTokens);
  }

  async #openLease(limit: Limit): Promise<Lease> {
    if (limit.kind === 'CREDITS') return this.#lease(limit.allowanceId, null);
    try {
      return this.#lease(await inTime(this.#ids.open(limit.rule.id, limit.span)), limit.rule.id);
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  /** @returns what is held now; null: there is too little */
  #take(lease: Lease, amount: bigint, least: bigint): Promise<bigint | null> {
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
        this.#isUncertain = true;
        const reason = this.#unavailable(error);
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
    if (this.#isExpired(now)) throw new Error('Postgres has not been heard of for 10 minutes.');
    if (lease.isRecalled) await this.#giveBack(lease, lease.free);
    lease.isRecalled = false;
    let left = lease.serve(waiters, now);
    if (left.length === 0) return;
    await this.#grant(lease, left);
    left = lease.serve(left, now);
    if (left.length > 0 && lease.standing && (await recall(this.#parts.pool, lease)) > 0)
      left = await this.#awaitRecalled(lease, left);
    lease.finish(left, now);
    // Where money is short, none lies idle.
    if (left.length > 0) await this.#giveBack(lease, lease.free);
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
    const granted = await grant(pool, { ...nameOf(lease), serverId }, wanted, lease.demand);
    lease.standing = granted && { limit: granted.limit, settled: granted.settled, leased: granted.leased };
    lease.free += granted?.amount ?? 0n;
    if (granted && lease.holderId === this.#holder.id) this.#holder.isKnown ||= granted.amount > 0n;
    return granted?.waiting ?? 0;
  }

  /** Gives back what is idle now, and what comes back as well. */
  async #surrender(lease: Lease): Promise<void> {
    lease.isRecalled = true;
    await this.#giveBack(lease, lease.free);
  }

  /** What is idle is no longer free before Postgres is told: should that fail, nobody spends it. */
  async #giveBack(lease: Lease, amount: bigint): Promise<void> {
    if (amount === 0n && !lease.isRecalled) return;
    lease.free -= amount;
    // Whoever is refused now is told what is held, not what was idle.
    if (lease.standing) lease.standing = { ...lease.standing, leased: lease.standing.leased - amount };
    try {
      await giveBack(this.#parts.pool, lease, amount);
    } catch (error) {
      this.#isUncertain = true;
      this.#parts.log.debug({ err: error }, 'what is idle of a budget could not be given back yet');
    }
  }

  /** More was spent than was held: nobody may go on with what is idle, before Postgres knows how much is left. */
  async #overrun(lease: Lease): Promise<void> {
    this.#parts.log.warn({ allowanceId: lease.allowanceId }, 'a call cost more than the most that was expected');
    await this.#surrender(lease);
    await recall(this.#parts.pool, lease).catch((error) => this.#parts.log.debug({ err: error }, 'not recalled'));
  }

  #tick(): Promise<void> {
    this.#ticking ??= this.#renew().finally(() => {
      this.#ticking = null;
    });
    return this.#ticking;
  }

  async #renew(): Promise<void> {
    try {
      const holders = [this.#holder, ...this.#retired];
      const began = performance.now();
      const wasKnown = this.#holder.isKnown;
      const { pool, serverId } = this.#parts;
      const ids = holders.map(({ id }) => id);
      const { alive, others, recalled, budgetsVersion } = await renew(pool, serverId, ids);
      // Written off: a machine that slept did not see the time pass.
      const isGone = wasKnown && !alive.includes(this.#holder.id);
      if (this.#isUncertain || isGone) this.#retire();
      this.#renewedAt = began;
      for (const allowanceId of recalled) await this.notice(allowanceId);
      await this.#takeRules(budgetsVersion);
      await this.#tidy();
      this.#hasFormer ||= others;
      this.#freeFormer();
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
    for (const lease of this.#holder.leases.values()) {
      if (lease.budgetId === null) continue;
      const [limit, former] = [this.#rules, before].map((rules) => rules.byId(lease.budgetId as string)?.limit ?? 0n);
      // What is idle must not be spent on the strength of a limit that is no more.
      if (limit !== former) await this.#surrender(lease);
    }
  }

  /** Gives back what lies idle: all of it where nobody asks for it, else what is more than a slice. */
  async #tidy(): Promise<void> {
    const now = performance.now();
    for (const lease of [...this.#holder.leases.values()]) {
      lease.fade();
      if (lease.isAsking) continue;
      const isUsed = now - lease.usedAt < IDLE_MS;
      const kept = isUsed && !lease.isRecalled ? sliceOf(lease) : 0n;
      if (lease.free > kept) await this.#giveBack(lease, lease.free - kept);
      const isIdle = lease.free === 0n && lease.open === 0n && !lease.isAsking;
      if (isIdle && now - lease.usedAt > FORGET_MS) this.#holder.leases.delete(lease.allowanceId);
    }
  }

  /** Goes on under another name. What the former one has is freed once everything it spent is on the ledger. */
  #retire(): void {
    this.#isUncertain = false;
    for (const lease of this.#holder.leases.values()) lease.free = 0n;
    this.#retired.push(this.#holder);
    this.#holder = newHolder();
  }

  /**
   * Frees what former holders have, once everything that they spent is on the ledger. Nobody waits for that: after Postgres
   * was away it takes its time, and at the end it may never be.
   */
  #freeFormer(): void {
    const over = this.#retired.filter(isOver);
    if (this.#isFreeing || (over.length === 0 && !this.#hasFormer)) return;
    this.#isFreeing = true;
    this.#hasFormer = false;
    this.#release(over)
      .catch((error) => {
        this.#hasFormer = true;
        this.#parts.log.warn({ err: error }, 'what former holders had leased could not be freed; trying again');
      })
      .finally(() => {
        this.#isFreeing = false;
      });
  }

  async #release(over: readonly Holder[]): Promise<void> {
    const { pool, serverId, drained } = this.#parts;
    await drained();
    if (this.#isClosed) return;
    const found = await formerHolders(pool, serverId, []);
    // Asked for first: whoever has come since then is among them.
    const running = [this.#holder, ...this.#retired].filter((holder) => !over.includes(holder)).map(({ id }) => id);
    const former = found.filter((id) => !running.includes(id));
    if (former.length > 0) await releaseHolders(pool, former);
    this.#retired = this.#retired.filter((holder) => !over.includes(holder));
  }

  async #writeOff(now: number): Promise<void> {
    this.#writtenOffAt = now;
    for (const { serverId, allowanceId, amount } of await writeOffLost(this.#parts.pool))
      this.#parts.log.warn({ serverId, allowanceId, amount }, 'the lease of a server that is gone was written off');
  }

  #isExpired(now: number): boolean {
    return now - this.#renewedAt > EXPIRY_MS;
  }

  #unavailable(error: unknown): SignalboxError {
    this.#parts.log.warn({ err: error }, 'what is left of a budget could not be asked');
    return new OverloadedError(
      'The database is away, and without it nobody knows what is left of a hard budget or of credits. Try again shortly.',
    );
  }
}

function newHolder(): Holder {
  return { id: uuidv7(), isKnown: false, leases: new Map() };
}

/** Nothing is held from it any more, and nobody asks for more. */
function isOver({ leases }: Holder): boolean {
  return [...leases.values()].every(({ open, isAsking }) => open === 0n && !isAsking);
}

function nameOf({ allowanceId, holderId }: Lease) {
  return { allowanceId, holderId };
}

/** What may lie idle of an allowance for what comes next. */
function sliceOf({ demand, standing }: Lease): bigint {
  const most = (standing?.limit ?? 0n) / 400n;
  return demand < most ? demand : most;
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const patience = sleep(PATIENCE_MS, undefined, { signal: late.signal }).then(() => {
    throw new Error(`Postgres did not answer within ${PATIENCE_MS / 1_000} s.`);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    late.abort();
    patience.catch(() => undefined);
  }
}
