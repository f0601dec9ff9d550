import { BUDGET_PERIODS, periodAt, type Span, startOf } from '../../gateway/allowances/period.ts';
import {
  type BudgetEnforcement,
  type BudgetPeriod,
  type BudgetScope,
  Prisma,
  type PrismaClient,
} from '../../generated/prisma/client.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { Settings } from '../../platform/settings.ts';

/** What subscribers were told of a budget last. */
export interface Told {
  /** Start of the period that the rest is about; null: there is none, as with TOTAL. */
  startsAt: Date | null;
  spent: Picodollars;
  /** The highest threshold that was told to be crossed; 0: none. */
  threshold: number;
}

/** A budget with what is spent of it in the period that runs. */
export interface BudgetView extends Span {
  id: string;
  name: string | null;
  scope: BudgetScope;
  /** Null for EVERYTHING. */
  subjectId: string | null;
  /** E-mail address, name or slug; null for EVERYTHING, and for what is gone. */
  subject: string | null;
  ownerId: string | null;
  /** An admin has set it on its owner, who may not change it. */
  isManaged: boolean;
  period: BudgetPeriod;
  limit: Picodollars;
  enforcement: BudgetEnforcement;
  /** Percentages, ascending. */
  thresholds: number[];
  version: number;
  createdAt: Date;
  updatedAt: Date;
  spent: Picodollars;
  /** What servers have set aside of it: for completions that run, and a little in advance. */
  held: Picodollars;
  told: Told;
}

/** Which budgets; all that is given must fit. */
export interface BudgetFilter {
  id?: string;
  ownerId?: string | null;
  scope?: BudgetScope | null;
}

type Row = Omit<BudgetView, keyof Span | 'limit' | 'spent' | 'held' | 'told'> & {
  limit: string;
  spent: string;
  held: string;
  seenPeriod: Date | null;
  seenSpent: string;
  crossedThreshold: number;
};

/** What decides which period runs. */
export interface PeriodClock {
  now: Date;
  /** An IANA name. */
  timeZone: string;
}

/** The time as Postgres has it: that is the clock which decides periods, so that all servers agree. */
export async function readClock(
  db: Pick<PrismaClient, '$queryRaw'>,
  { timeZone }: Pick<Settings, 'timeZone'>,
): Promise<PeriodClock> {
  const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
  if (!row) throw new Error('Postgres told no time.');
  return { now: row.now, timeZone };
}

/**
 * Budgets in the order in which they were made, with what is spent of each in the period that `now` is in: one
 * statement. Without an allowance nothing has been spent in the period yet.
 */
export async function readBudgets(
  db: Pick<PrismaClient, '$queryRaw'>,
  filter: BudgetFilter,
  { now, timeZone }: PeriodClock,
): Promise<BudgetView[]> {
  const periods = BUDGET_PERIODS.map((period) => ({ period, starts: startOf(periodAt(period, now, timeZone)) }));
  const rows = await db.$queryRaw<Row[]>`
    SELECT b.id, b.name, b.scope::text, nullif(b.subject_id, '') AS "subjectId", b.owner_id AS "ownerId",
      b.is_managed AS "isManaged",
      coalesce(users.email, api_keys.name, routes.slug, providers.slug) AS subject,
      b.period::text, b."limit"::text, b.enforcement::text, b.thresholds, b.version,
      b.created_at AS "createdAt", b.updated_at AS "updatedAt",
      coalesce(a.settled, 0)::text AS spent, coalesce(a.leased, 0)::text AS held,
      b.seen_period AS "seenPeriod", b.seen_spent::text AS "seenSpent", b.crossed_threshold AS "crossedThreshold"
    FROM budgets b
      JOIN json_to_recordset(${JSON.stringify(periods)}::json) AS periods (period "BudgetPeriod", starts timestamptz)
        USING (period)
      LEFT JOIN allowances a ON a.budget_id = b.id AND a.starts_at = periods.starts
      CROSS JOIN LATERAL (SELECT nullif(b.subject_id, '')::uuid AS id) AS subject
      LEFT JOIN users ON users.id = subject.id
      LEFT JOIN api_keys ON api_keys.id = subject.id
      LEFT JOIN routes ON routes.id = subject.id
      LEFT JOIN providers ON providers.id = subject.id
    WHERE ${condition(filter)}
    ORDER BY b.id`;
  return rows.map((row) => toView(row, periodAt(row.period, now, timeZone)));
}

function condition({ id, ownerId, scope }: BudgetFilter): Prisma.Sql {
  const parts = [Prisma.sql`true`];
  if (id) parts.push(Prisma.sql`b.id = ${id}::uuid`);
  if (ownerId) parts.push(Prisma.sql`b.owner_id = ${ownerId}::uuid`);
  if (scope) parts.push(Prisma.sql`b.scope = ${scope}::"BudgetScope"`);
  return Prisma.join(parts, ' AND ');
}

function toView(row: Row, span: Span): BudgetView {
  const { limit, spent, held, seenPeriod, seenSpent, crossedThreshold, ...columns } = row;
  return {
    ...columns,
    ...span,
    limit: picodollars(BigInt(limit)),
    spent: picodollars(BigInt(spent)),
    held: picodollars(BigInt(held)),
    told: { startsAt: seenPeriod, spent: picodollars(BigInt(seenSpent)), threshold: crossedThreshold },
  };
}
