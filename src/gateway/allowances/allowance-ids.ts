import type { Pool } from 'pg';
import { inTransaction } from '../../platform/database/transaction.ts';
import { openAllowances } from './open-allowances.ts';
import { type Span, startOf } from './period.ts';

/** More than are ever in use: the periods of 1,000 budgets that run, and some that have just ended. */
const LIMIT = 5_000;

/** The ids of the allowances of budgets' periods, which are made when they are first needed. */
export class AllowanceIds {
  readonly #pool: Pool;
  readonly #ids = new Map<string, string>();
  readonly #opening = new Map<string, Promise<string>>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Null: it is not in memory. */
  known(budgetId: string, span: Span): string | null {
    return this.#ids.get(nameOf(budgetId, span)) ?? null;
  }

  /** The id, asked for or made. */
  open(budgetId: string, span: Span): Promise<string> {
    const name = nameOf(budgetId, span);
    const known = this.#ids.get(name);
    if (known !== undefined) return Promise.resolve(known);
    const pending = this.#opening.get(name);
    if (pending) return pending;
    const opening = this.#find(budgetId, span)
      .then((id) => {
        if (this.#ids.size >= LIMIT) this.#ids.clear();
        this.#ids.set(name, id);
        return id;
      })
      .finally(() => this.#opening.delete(name));
    this.#opening.set(name, opening);
    return opening;
  }

  async #find(budgetId: string, span: Span): Promise<string> {
    const found = await this.#read(budgetId, span);
    if (found !== null) return found;
    await inTransaction(this.#pool, async (client) => {
      await client.query('SELECT FROM ledger_head WHERE id = 1 FOR UPDATE');
      await openAllowances((sql, values) => client.query(sql, values), [{ budgetId, span }]);
    });
    const opened = await this.#read(budgetId, span);
    if (opened === null) throw new Error(`The budget ${budgetId} is gone.`);
    return opened;
  }

  async #read(budgetId: string, span: Span): Promise<string | null> {
    const { rows } = await this.#pool.query<{ id: string }>(
      'SELECT id FROM allowances WHERE budget_id = $1 AND starts_at = $2',
      [budgetId, startOf(span)],
    );
    return rows[0]?.id ?? null;
  }
}

function nameOf(budgetId: string, span: Span): string {
  return `${budgetId} ${Number(startOf(span))}`;
}
