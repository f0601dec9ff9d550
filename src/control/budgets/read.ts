import {
  type BudgetEnforcement,
  BudgetPeriod,
  type BudgetScope,
  Prisma,
  type PrismaClient,
} from '../../generated/prisma/client.ts';
import { type Picodollars, picodollars } from '../../platform/money.ts';
import { periodAt, type Span } from './period.ts';

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
  period: BudgetPeriod;
  limit: Picodollars;
  enforcement: BudgetEnforcement;
  /** Percentages, ascending. */
  thresholds: number[];
  version: number;
  createdAt: Date;
  updatedAt: Date;
  spent: Picodollars;
  told: Told;
}

/** Which budgets; all that is given must fit. */
export interface BudgetFilter {
  id?: string;
  ownerId?: string | null;
  scope?: BudgetScope | null;
}

type Row = Omit<BudgetView, keyof Span | 'limit' | 'spent' | 'told'> & {
  limit: string;
  spent: string;
  seenPeriod: Date | null;
  seenSpent: string;
  crossedThreshold: number;
};

/** The time as Postgres has it: that is the clock which decides periods, so that all servers agree. */
export async function readClock(db: Pick<PrismaClient, '$queryRaw'>): Promise<Date> {
  const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
  if (!row) throw new Error('Postgres told no time.');
  return row.now;
}

/**
 * Budgets in the order in which they were made, with what is spent of each in the period that `now` is in: one
 * statement, on the roll-ups. Their hours are those of the completions' admission, and every period begins with one.
 * Steps are materialized: the planner cannot tell how many rows they have, and may take one for cheap to repeat.
 */
export async function readBudgets(
  db: Pick<PrismaClient, '$queryRaw'>,
  filter: BudgetFilter,
  now: Date,
): Promise<BudgetView[]> {
  const periods = Object.values(BudgetPeriod).map((period) => {
    const { startsAt, endsAt } = periodAt(period, now);
    return { period, starts: startsAt ?? '-infinity', ends: endsAt ?? 'infinity' };
  });
  const rows = await db.$queryRaw<Row[]>`
    WITH periods AS (
      SELECT * FROM json_to_recordset(${JSON.stringify(periods)}::json)
        AS periods (period "BudgetPeriod", starts timestamptz, ends timestamptz)
    ), wanted AS (
      SELECT budgets.*, starts, ends FROM budgets JOIN periods USING (period) WHERE ${condition(filter)}
    ), counted AS MATERIALIZED (
      SELECT wanted.id, starts, ends, s.id AS series_id
      FROM rollup_series s CROSS JOIN LATERAL (VALUES
          ('EVERYTHING'::"BudgetScope", '', 'COMPLETION'::"RollupSubject"),
          ('USER', s.user_id::text, 'COMPLETION'),
          ('API_KEY', s.api_key_id::text, 'COMPLETION'),
          ('ROUTE', s.route_id::text, 'COMPLETION'),
          ('PROVIDER', s.provider_id::text, 'ATTEMPT')
        ) AS counts (scope, subject_id, subject)
        JOIN wanted USING (scope, subject_id)
      WHERE counts.subject = s.subject
    ), costs AS MATERIALIZED (
      SELECT series_id, starts, sum(cost) AS cost FROM ${filter.ownerId ? HOURS_OF_SERIES : ALL_HOURS}
      GROUP BY series_id, starts
    ), sums AS (
      SELECT id, sum(cost) AS spent FROM counted JOIN costs USING (series_id, starts) GROUP BY id
    )
    SELECT b.id, b.name, b.scope::text, nullif(b.subject_id, '') AS "subjectId", b.owner_id AS "ownerId",
      coalesce(users.email, api_keys.name, routes.slug, providers.slug) AS subject,
      b.period::text, b."limit"::text, b.enforcement::text, b.thresholds, b.version,
      b.created_at AS "createdAt", b.updated_at AS "updatedAt", coalesce(sums.spent, 0)::text AS spent,
      b.seen_period AS "seenPeriod", b.seen_spent::text AS "seenSpent", b.crossed_threshold AS "crossedThreshold"
    FROM wanted b LEFT JOIN sums ON sums.id = b.id
      CROSS JOIN LATERAL (SELECT nullif(b.subject_id, '')::uuid AS id) AS subject
      LEFT JOIN users ON users.id = subject.id
      LEFT JOIN api_keys ON api_keys.id = subject.id
      LEFT JOIN routes ON routes.id = subject.id
      LEFT JOIN providers ON providers.id = subject.id
    ORDER BY b.id`;
  return rows.map((row) => toView(row, now));
}

/** For the budgets of one user, which are about a few series out of many. */
const HOURS_OF_SERIES = Prisma.sql`
  (SELECT DISTINCT series_id, starts, ends FROM counted) AS spans JOIN rollups USING (series_id)
  WHERE grain = 'HOUR' AND bucket >= (SELECT min(starts) FROM wanted) AND bucket >= starts AND bucket < ends`;

/** For all others: each hour is read once for each kind of period, however many budgets there are. */
const ALL_HOURS = Prisma.sql`
  (SELECT DISTINCT starts, ends FROM wanted) AS spans
    JOIN rollups ON grain = 'HOUR' AND bucket >= starts AND bucket < ends`;

function condition({ id, ownerId, scope }: BudgetFilter): Prisma.Sql {
  const parts = [Prisma.sql`true`];
  if (id) parts.push(Prisma.sql`id = ${id}::uuid`);
  if (ownerId) parts.push(Prisma.sql`owner_id = ${ownerId}::uuid`);
  if (scope) parts.push(Prisma.sql`scope = ${scope}::"BudgetScope"`);
  return Prisma.join(parts, ' AND ');
}

function toView(row: Row, now: Date): BudgetView {
  const { limit, spent, seenPeriod, seenSpent, crossedThreshold, ...columns } = row;
  return {
    ...columns,
    ...periodAt(row.period, now),
    limit: picodollars(BigInt(limit)),
    spent: picodollars(BigInt(spent)),
    told: { startsAt: seenPeriod, spent: picodollars(BigInt(seenSpent)), threshold: crossedThreshold },
  };
}
