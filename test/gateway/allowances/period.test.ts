import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { BUDGET_PERIODS, type BudgetPeriod, periodAt } from '../../../src/gateway/allowances/period.ts';

const PERIODS = BUDGET_PERIODS.filter((period) => period !== 'TOTAL');
const instant = fc.date({
  min: new Date('1970-01-01T00:00:00Z'),
  max: new Date('2199-12-31T23:59:59.999Z'),
  noInvalidDate: true,
});

function bounds(period: BudgetPeriod, at: Date): [start: Date, end: Date] {
  const { startsAt, endsAt } = periodAt(period, at, 'UTC');
  if (!startsAt || !endsAt) throw new Error(`${period} has no bounds`);
  return [startsAt, endsAt];
}

describe.each(PERIODS)('a %s period', (period) => {
  it('holds the instant it was asked for, and every other one in it has the same', () => {
    fc.assert(
      fc.property(instant, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (at, share) => {
        const [start, end] = bounds(period, at);
        expect(at >= start && at < end).toBe(true);
        const other = new Date(start.getTime() + Math.floor(share * (end.getTime() - start.getTime())));
        expect(bounds(period, other)).toEqual([start, end]);
      }),
    );
  });

  it('ends where the next one starts', () => {
    fc.assert(
      fc.property(instant, (at) => {
        const [start, end] = bounds(period, at);
        expect(bounds(period, end)[0]).toEqual(end);
        expect(bounds(period, new Date(start.getTime() - 1))[1]).toEqual(start);
      }),
    );
  });

  it('begins at midnight UTC', () => {
    fc.assert(
      fc.property(instant, (at) => {
        expect(bounds(period, at)[0].toISOString()).toMatch(/T00:00:00\.000Z$/);
      }),
    );
  });
});

test.each([
  ['DAILY', '2026-11-20', '2026-11-21'],
  ['WEEKLY', '2026-11-16', '2026-11-23'],
  ['MONTHLY', '2026-11-01', '2026-12-01'],
  ['QUARTERLY', '2026-10-01', '2027-01-01'],
  ['YEARLY', '2026-01-01', '2027-01-01'],
] as const)('%s on a Friday in November', (period, start, end) => {
  expect(bounds(period, new Date('2026-11-20T22:15:00Z'))).toEqual([new Date(start), new Date(end)]);
});

test('a Sunday is the last day of its week', () => {
  expect(bounds('WEEKLY', new Date('2026-11-22T23:59:59.999Z'))[1]).toEqual(new Date('2026-11-23T00:00:00Z'));
});

test('a total has neither beginning nor end', () => {
  expect(periodAt('TOTAL', new Date(), 'UTC')).toEqual({ startsAt: null, endsAt: null });
});
