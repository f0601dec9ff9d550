import type { Pool } from 'pg';
import { uuidv7 } from '../../platform/ids.ts';
import type { Log } from '../../platform/log.ts';
import { Lease } from './lease.ts';
import { formerHolders, releaseHolders } from './lease-statements.ts';

export interface HoldersParts {
  pool: Pool;
  serverId: string;
  /** Resolves when everything that is settled so far is on the ledger. */
  drained: () => Promise<void>;
  log: Log;
}

/** One run of this process as those who lease know it. After a statement whose outcome is unknown another one begins. */
interface Holder {
  id: string;
  /** By allowance. */
  leases: Map<string, Lease>;
}

/** The names under which this process has leased, and its leases. */
export class Holders {
  readonly #parts: HoldersParts;
  #current = newHolder();
  /** Former ones, whose holds still run or are not on the ledger yet. */
  #retired: Holder[] = [];
  /** Earlier processes of this server, or statements that were given up, may have left leases that nobody spends. */
  #hasFormer = true;
  #isFreeing = false;
  #isClosed = false;

  constructor(parts: HoldersParts) {
    this.#parts = parts;
  }

  get currentId(): string {
    return this.#current.id;
  }

  get ids(): string[] {
    return [this.#current, ...this.#retired].map(({ id }) => id);
  }

  /** Picodollars that are held for attempts which run, over all allowances. */
  get open(): bigint {
    const leases = [this.#current, ...this.#retired].flatMap(({ leases }) => [...leases.values()]);
    return leases.reduce((sum, { open }) => sum + open, 0n);
  }

  /** Those that are still leased from. */
  get leases(): Lease[] {
    return [...this.#current.leases.values()];
  }

  /** Postgres has leased something to the current one, and so knows it. */
  get isKnown(): boolean {
    return this.leases.some(({ isGranted }) => isGranted);
  }

  /** The leases of an allowance: those of former holders have something in use, too. */
  find(allowanceId: string): Lease[] {
    return [this.#current, ...this.#retired].flatMap(({ leases }) => leases.get(allowanceId) ?? []);
  }

  /** The lease of an allowance, which may be new. */
  lease(allowanceId: string, budgetId: string | null): Lease {
    const { id: holderId, leases } = this.#current;
    const known = leases.get(allowanceId);
    if (known) return known;
    const lease = new Lease({ allowanceId, holderId }, budgetId);
    leases.set(allowanceId, lease);
    return lease;
  }

  /** Nothing is left of it. */
  forget({ allowanceId }: Lease): void {
    this.#current.leases.delete(allowanceId);
  }

  /** There are leases of this server under other names. */
  noteFormer(): void {
    this.#hasFormer = true;
  }

  /** Frees nothing from now on. */
  stop(): void {
    this.#isClosed = true;
  }

  /** Frees everything. The ledger has been drained, and nothing is held any more. */
  async close(): Promise<void> {
    const { pool, serverId } = this.#parts;
    await releaseHolders(pool, await formerHolders(pool, serverId, []));
  }

  /** Goes on under another name. What the former one has is freed once everything it spent is on the ledger. */
  retire(): void {
    for (const lease of this.#current.leases.values()) lease.free = 0n;
    this.#retired.push(this.#current);
    this.#current = newHolder();
  }

  /**
   * Frees what former holders have, once everything that they spent is on the ledger. Nobody waits for that: after Postgres
   * was away it takes its time, and at the end it may never be.
   */
  freeFormer(): void {
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
    const running = [this.#current, ...this.#retired].filter((holder) => !over.includes(holder)).map(({ id }) => id);
    const former = found.filter((id) => !running.includes(id));
    if (former.length > 0) await releaseHolders(pool, former);
    this.#retired = this.#retired.filter((holder) => !over.includes(holder));
  }
}

function newHolder(): Holder {
  return { id: uuidv7(), leases: new Map() };
}

/** Nothing is held from it any more, and nobody asks for more. */
function isOver({ leases }: Holder): boolean {
  return [...leases.values()].every(({ open, isAsking }) => open === 0n && !isAsking);
}
