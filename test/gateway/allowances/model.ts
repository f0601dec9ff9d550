import type pg from 'pg';
import { expect } from 'vitest';
import type { Held } from '../../../src/gateway/allowances/held.ts';
import { Leases } from '../../../src/gateway/allowances/leases.ts';
import { SpendingPoster } from '../../../src/gateway/allowances/post-spending.ts';
import { lockHead } from '../../../src/gateway/ledger/post.ts';
import { BudgetExceededError, InsufficientCreditsError } from '../../../src/platform/errors.ts';
import { createLog } from '../../../src/platform/log.ts';
import { picodollars } from '../../../src/platform/money.ts';

export const USER = '0197a000-0000-7000-8000-000000000001';
const PROVIDER = '0197a000-0000-7000-8000-000000000002';
const silent = createLog({ logLevel: 'silent' });

/** An attempt of which the model knows everything. */
interface Call {
  held: Held;
  /** Null: it runs. */
  cost: bigint | null;
}

/** One of several servers over one Postgres, and what it has promised. */
export class Server {
  readonly name: string;
  readonly #pool: pg.Pool;
  readonly #poster = new SpendingPoster('UTC');
  leases: Leases | null = null;
  calls: Call[] = [];

  constructor(pool: pg.Pool, name: string) {
    this.#pool = pool;
    this.name = name;
  }

  /** What it has written down is on the ledger before what it had leased is freed. */
  async start(): Promise<void> {
    const parts = { pool: this.#pool, serverId: this.name, timeZone: 'UTC', log: silent };
    this.leases ??= await Leases.open({ ...parts, drained: () => this.drain() });
  }

  /** Killed: what it had in memory is gone; what runs is taken to have cost a part of what was held. */
  async crash(share: number): Promise<void> {
    await this.leases?.abandon();
    this.leases = null;
    for (const call of this.calls) call.cost ??= (call.held.hold.amount * BigInt(share)) / 100n;
  }

  /** @returns what became of it: tokens it may have, or why it was refused */
  async send(input: bigint, outputTokens: number): Promise<Held | 'REFUSED'> {
    if (!this.leases) return 'REFUSED';
    const spender = { userId: USER, apiKeyId: null, routeId: null, providerId: PROVIDER };
    const worst = { input, perToken: 1n, outputTokens, fewestTokens: 16 };
    try {
      const limits = this.leases.limitsOf({ spender, creditsId: null, at: Date.now() });
      expect(limits).toHaveLength(1);
      const held = await this.leases.hold({ limits, worst });
      expect(held.hold.amount).toBeGreaterThanOrEqual(input + BigInt(Math.min(16, outputTokens)));
      expect(held.hold.amount).toBe(input + BigInt(held.outputTokens ?? outputTokens));
      this.calls.push({ held, cost: null });
      return held;
    } catch (error) {
      expect([BudgetExceededError, InsufficientCreditsError].some((kind) => error instanceof kind)).toBe(true);
      return 'REFUSED';
    }
  }

  /** One of those that run ends. @param percent of what was held */
  settle(index: number, percent: number): void {
    const running = this.calls.filter(({ cost }) => cost === null);
    const call = running[index % Math.max(1, running.length)];
    if (!call) return;
    call.cost = (call.held.hold.amount * BigInt(percent)) / 100n;
    call.held.settle(picodollars(call.cost));
  }

  /** Puts what has ended on the ledger. */
  async drain(): Promise<void> {
    const ended = this.calls.filter(({ cost }) => cost !== null);
    this.calls = this.calls.filter(({ cost }) => cost === null);
    if (ended.length === 0) return;
    const client = await this.#pool.connect();
    try {
      await client.query('BEGIN');
      const { budgetsVersion } = await lockHead(client);
      const of = { userId: USER, apiKeyId: null, routeId: null, providerId: PROVIDER, creditsOf: null };
      const spendings = ended.map(({ held, cost }) => ({
        ...{ ...of, at: Date.now(), amount: cost as bigint, hold: held.hold },
      }));
      await this.#poster.post(client, spendings, budgetsVersion);
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  }

  /** Picodollars that run or are not on the ledger yet: what has to be covered by leases. */
  get promised(): bigint {
    return this.calls.reduce((sum, { held, cost }) => sum + (cost ?? held.hold.amount), 0n);
  }

  /** Without what was spent beyond a hold. */
  get covered(): bigint {
    return this.calls.reduce((sum, { held: { hold }, cost }) => {
      return sum + (cost === null || cost > hold.amount ? hold.amount : cost);
    }, 0n);
  }
}
