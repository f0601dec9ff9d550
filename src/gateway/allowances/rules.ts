import type pg from 'pg';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { BudgetPeriod } from './period.ts';

export type BudgetScope = 'EVERYTHING' | 'USER' | 'API_KEY' | 'ROUTE' | 'PROVIDER';

/** What of a budget decides where spending counts. */
export interface BudgetRule {
  id: string;
  name: string | null;
  scope: BudgetScope;
  /** Empty for EVERYTHING. */
  subjectId: string;
  period: BudgetPeriod;
  limit: Picodollars;
  /** Nothing is sent that might not fit any more. */
  isHard: boolean;
  /** Who may see it besides admins. */
  ownerId: string | null;
  createdAt: Date;
}

/** Whose an attempt is, and where it goes. */
export interface Spender {
  userId: string | null;
  apiKeyId: string | null;
  routeId: string | null;
  providerId: string | null;
}

/** All budgets, found by what they are about. */
export class BudgetRules {
  static readonly NONE = new BudgetRules([]);
  readonly #bySubject = new Map<string, BudgetRule[]>();
  readonly rules: readonly BudgetRule[];
  readonly #byId: ReadonlyMap<string, BudgetRule>;

  constructor(rules: readonly BudgetRule[]) {
    this.rules = rules;
    this.#byId = new Map(rules.map((rule) => [rule.id, rule]));
    for (const rule of rules) {
      const name = nameOf(rule.scope, rule.subjectId);
      const same = this.#bySubject.get(name);
      if (same) same.push(rule);
      else this.#bySubject.set(name, [rule]);
    }
  }

  byId(id: string): BudgetRule | null {
    return this.#byId.get(id) ?? null;
  }

  /** Those under which nothing is sent that might not fit any more. */
  hard(): BudgetRules {
    return new BudgetRules(this.rules.filter(({ isHard }) => isHard));
  }

  /** Those in which an attempt, or usage made elsewhere, counts. */
  of({ userId, apiKeyId, routeId, providerId }: Spender): BudgetRule[] {
    if (this.rules.length === 0) return [];
    const found = [...(this.#bySubject.get(nameOf('EVERYTHING', '')) ?? [])];
    const add = (scope: BudgetScope, id: string | null) => {
      const rules = id === null ? undefined : this.#bySubject.get(nameOf(scope, id));
      if (rules) found.push(...rules);
    };
    add('USER', userId);
    add('API_KEY', apiKeyId);
    add('ROUTE', routeId);
    add('PROVIDER', providerId);
    return found;
  }
}

interface RuleRow extends Omit<BudgetRule, 'limit'> {
  limit: string;
}

/** Reads all budgets; there are at most 1,000. */
export async function readRules(client: Pick<pg.ClientBase, 'query'>): Promise<BudgetRules> {
  const { rows } = await client.query<RuleRow>(
    `SELECT id, name, scope::text, subject_id AS "subjectId", period::text, "limit"::text,
       owner_id AS "ownerId",
       enforcement = 'HARD' AS "isHard", created_at AS "createdAt"
     FROM budgets ORDER BY id`,
  );
  return new BudgetRules(rows.map((row) => ({ ...row, limit: picodollars(BigInt(row.limit)) })));
}

function nameOf(scope: BudgetScope, subjectId: string): string {
  return `${scope} ${subjectId}`;
}
