import { setTimeout as sleep } from 'node:timers/promises';
import { periodAt } from '../../gateway/allowances/period.ts';
import type { Services } from '../schema/context.ts';
import { tellProgress } from './tell.ts';

type WatcherServices = Pick<Services, 'prisma' | 'settings' | 'ledgerSeq' | 'feed' | 'log'>;

/** Between two looks. */
const PAUSE_MS = 1_000;
/** A look that takes long is followed by so many times its duration without one. */
const PAUSE_FACTOR = 10;
/** How long after midnight new periods are looked for: the clock of Postgres, which decides, may be a little behind. */
const MIDNIGHT_GRACE_MS = 1_000;

/**
 * Tells subscribers what is spent of budgets and which thresholds that crosses. Runs on every server; one at a time
 * looks, after commits of the ledger and at midnight. The ledger is the truth, so what a look misses, because
 * Postgres is away or the server stops, the next one tells.
 */
export class BudgetWatcher {
  readonly #services: WatcherServices;
  readonly #now: () => number;
  readonly #stopping = new AbortController();
  readonly #ignoreLedger: () => void;
  #midnight: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  /** There may be something that no look has seen. */
  #isStale = false;
  /** There are no budgets. */
  #isDormant = false;
  /** How often the feed told of budgets. */
  #heard = 0;

  constructor(services: WatcherServices, now: () => number = Date.now) {
    this.#services = services;
    this.#now = now;
    this.#ignoreLedger = services.ledgerSeq.onAdvance(() => this.#wake());
    void this.#followBudgets();
    this.#awaitMidnight();
    this.#wake();
  }

  /** Ends it, after the look that is under way. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#ignoreLedger();
    clearTimeout(this.#midnight);
    await this.#looking;
  }

  #wake(): void {
    if (this.#isDormant) return;
    this.#isStale = true;
    this.#looking ??= this.#lookWhileStale();
  }

  async #lookWhileStale(): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#isStale && !signal.aborted) {
      const began = performance.now();
      await this.#look();
      const pause = Math.max(PAUSE_MS, PAUSE_FACTOR * (performance.now() - began));
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
    this.#looking = null;
  }

  async #look(): Promise<void> {
    this.#isStale = false;
    const heard = this.#heard;
    try {
      const outcome = await tellProgress(this.#services);
      // A budget that was set meanwhile may not have been seen.
      this.#isDormant = outcome === 'NONE' && heard === this.#heard;
      if (outcome === 'BUSY') this.#isStale = true;
    } catch (error) {
      this.#isStale = true;
      this.#services.log.warn({ err: error }, 'the budgets could not be looked at; trying again');
    }
  }

  /** Wakes up when the first budget is set, on whichever server. */
  async #followBudgets(): Promise<void> {
    const events = this.#services.feed.subscribe('BUDGETS', { overflow: 'LATEST' }, this.#stopping.signal);
    for await (const _event of events) {
      this.#heard += 1;
      if (!this.#isDormant) continue;
      this.#isDormant = false;
      this.#wake();
    }
  }

  /** Every period begins at a midnight, also where nothing is spent. */
  #awaitMidnight(): void {
    const now = this.#now();
    const { endsAt } = periodAt('DAILY', new Date(now), this.#services.settings.timeZone);
    const wait = Number(endsAt) - now + MIDNIGHT_GRACE_MS;
    this.#midnight = setTimeout(() => {
      this.#wake();
      this.#awaitMidnight();
    }, wait);
    this.#midnight.unref();
  }
}
