import type { BudgetPeriod } from '../../generated/prisma/client.ts';

/** From `startsAt` to before `endsAt`; null: without a beginning or an end. */
export interface Span {
  startsAt: Date | null;
  endsAt: Date | null;
}

/** The period that an instant is in. Periods begin at 00:00 UTC, weeks on Monday; TOTAL is all time. */
export function periodAt(period: BudgetPeriod, at: Date): Span {
  const [year, month, day] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()];
  switch (period) {
    case 'DAILY':
      return { startsAt: utc(year, month, day), endsAt: utc(year, month, day + 1) };
    case 'WEEKLY': {
      const monday = day - ((at.getUTCDay() + 6) % 7);
      return { startsAt: utc(year, month, monday), endsAt: utc(year, month, monday + 7) };
    }
    case 'MONTHLY':
      return { startsAt: utc(year, month), endsAt: utc(year, month + 1) };
    case 'QUARTERLY': {
      const first = month - (month % 3);
      return { startsAt: utc(year, first), endsAt: utc(year, first + 3) };
    }
    case 'YEARLY':
      return { startsAt: utc(year, 0), endsAt: utc(year + 1, 0) };
    case 'TOTAL':
      return { startsAt: null, endsAt: null };
  }
}

function utc(year: number, month: number, day = 1): Date {
  return new Date(Date.UTC(year, month, day));
}
