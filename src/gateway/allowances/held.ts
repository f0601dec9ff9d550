import type { Picodollars } from '../../platform/money.ts';
import type { Hold } from '../ledger/records.ts';
import type { Lease } from './lease.ts';
import type { Limit } from './limit.ts';
import type { Spender } from './rules.ts';
import type { WorstCase } from './worst-case.ts';

/** What decides which allowances limit an attempt. */
export interface Limited {
  spender: Spender;
  /** The allowance of the caller's credits; null: none limit it. */
  creditsId: string | null;
  /** When the completion was admitted, in milliseconds since 1970. */
  at: number;
}

/** An attempt that money is to be set aside for. */
export interface HoldRequest {
  /** One at least. */
  limits: readonly Limit[];
  worst: WorstCase;
  /** A closer look at the input, for when the first one does not fit. */
  lookCloser?: (() => WorstCase) | undefined;
}

/** Money that is set aside for an attempt. */
export class Held {
  readonly hold: Hold;
  /** Tokens that each choice may have, because there is no money for more; null: as many as were asked for. */
  readonly outputTokens: number | null;
  readonly #leases: readonly Lease[];
  readonly #onOverrun: (lease: Lease) => void;
  #isOpen = true;

  constructor(
    leases: readonly Lease[],
    amount: Picodollars,
    outputTokens: number | null,
    onOverrun: (lease: Lease) => void,
  ) {
    const holderId = leases[0]?.holderId ?? '';
    this.hold = { holderId, amount, allowanceIds: leases.map(({ allowanceId }) => allowanceId) };
    this.outputTokens = outputTokens;
    this.#leases = leases;
    this.#onOverrun = onOverrun;
  }

  /**
   * The attempt has ended, and that is durable: what it did not spend is free again. Only the first call counts.
   * @param cost picodollars; null: nobody knows, and nothing is counted
   */
  settle(cost: Picodollars | null): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { amount } = this.hold;
    const spent = cost ?? 0n;
    for (const lease of this.#leases) {
      lease.settle(amount, spent < amount ? spent : amount);
      if (spent > amount) this.#onOverrun(lease);
    }
  }
}
