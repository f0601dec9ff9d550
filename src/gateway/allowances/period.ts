import { DateTime } from 'luxon';

export const BUDGET_PERIODS = ['DAILY', 'WEEKLY', 'MONTHLY', 'QUARTERLY', 'YEARLY', 'TOTAL'] as const;

/** How long a budget's limit is for. */
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number];

/** From `startsAt` to before `endsAt`; null: without a beginning or an end. */
export interface Span {
  startsAt: Date | null;
  endsAt: Date | null;
}

const UNITS = {
  DAILY: 'day',
  WEEKLY: 'week',
  MONTHLY: 'month',
  QUARTERLY: 'quarter',
  YEARLY: 'year',
} as const satisfies Partial<Record<BudgetPeriod, string>>;

/** The period of all time. */
const TOTAL: Span = { startsAt: null, endsAt: null };

/** As the column `starts_at` has the beginning of all time. */
const EPOCH = new Date(0);

/**
 * The period that an instant is in. Periods begin at midnight in the time zone, weeks on Monday; TOTAL is all time. Where
 * a day has no midnight, because clocks go forward over it, it begins at its first instant; where it has two, because
 * they go back to it, at the first one.
 * @param timeZone an IANA name
 */
export function periodAt(period: BudgetPeriod, at: Date, timeZone: string): Span {
  if (period === 'TOTAL') return TOTAL;
  const unit = UNITS[period];
  const start = DateTime.fromJSDate(at, { zone: timeZone }).startOf(unit);
  return { startsAt: firstOf(start), endsAt: firstOf(start.plus({ [`${unit}s`]: 1 }).startOf(unit)) };
}

/** The first instant with a local time that there may be twice. */
function firstOf(local: DateTime): Date {
  return new Date(Math.min(...local.getPossibleOffsets().map(Number)));
}

/** When a period begins, as its allowance has it: TOTAL in 1970. */
export function startOf({ startsAt }: Span): Date {
  return startsAt ?? EPOCH;
}

/** The periods of instants, of which most are in the same one as the one before. */
export class Periods {
  readonly #timeZone: string;
  readonly #latest = new Map<BudgetPeriod, Span>();

  constructor(timeZone: string) {
    this.#timeZone = timeZone;
  }

  /** @param at milliseconds since 1970 */
  at(period: BudgetPeriod, at: number): Span {
    const latest = this.#latest.get(period);
    if (latest && at >= Number(startOf(latest)) && (latest.endsAt === null || at < Number(latest.endsAt)))
      return latest;
    const span = periodAt(period, new Date(at), this.#timeZone);
    this.#latest.set(period, span);
    return span;
  }
}
